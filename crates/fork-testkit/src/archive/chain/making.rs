//! The transactions of made-up blocks.

use fork_ledger::account::Account;
use fork_ledger::receipt::{CommandBody, SignedCommand};
use fork_types::{Amount, PublicKey, ReceiptChainHash, Role, TokenId};

use super::Maker;
use crate::archive::commands::{Transaction, memo};

/// The transactions of a block: of the old tree, and of the new one.
pub(super) type Parts = [Vec<Transaction>; 2];

impl Maker {
    /// Transactions of three kinds of blocks in turn: of one tree; of two, with the order beginning
    /// again; of two, which does not show.
    pub(super) fn parts(&mut self, height: u32) -> Parts {
        let mut nonces = Nonces::new(&self.state);
        let kind = match self.spec.unknown_at {
            Some(unknown) if unknown == height => 1,
            _ => height % 3,
        };
        let mut first = self.commands(&mut nonces, [0, 7]);
        if self.spec.unknown_at == Some(height) {
            first.push(self.zkapp(&mut nonces, 0, true));
        }
        if kind != 2 {
            first.extend(self.internal(height));
        }
        if kind == 0 {
            return [first, Vec::new()];
        }
        let mut second = self.commands(&mut nonces, [0, 9]);
        if self.spec.unknown_at == Some(height) {
            second.push(self.signed(&mut nonces, 0));
        }
        second.extend(self.internal(height + 1));
        [first, second]
    }

    /// Commands of one tree: the payer of zkApp commands is not one who pays in the other.
    fn commands(&mut self, nonces: &mut Nonces, [_, zkapp_payer]: [usize; 2]) -> Vec<Transaction> {
        let mut commands = Vec::new();
        for _ in 0..3 + self.random.below(4) {
            if self.random.once_in(3) {
                let is_applied = !self.random.once_in(3);
                commands.push(self.zkapp(nonces, zkapp_payer, is_applied));
            } else {
                // Number 10 is also changed by zkApp commands.
                let payer = self.random.pick(&[0, 1, 2, 3, 4, 5, 6, 10]);
                commands.push(self.signed(nonces, payer));
            }
        }
        commands
    }

    fn payer(&self, number: usize) -> PublicKey {
        self.payers[number % self.payers.len()]
    }

    fn any_payer(&mut self) -> PublicKey {
        let number = self.random.below(self.payers.len() as u64);
        self.payer(usize::try_from(number).unwrap_or(0))
    }

    /// Somebody who has no account yet.
    fn stranger(&mut self) -> PublicKey {
        self.made += 1;
        self.accounts
            .account(Role::Genesis, self.made - 1)
            .public_key
    }

    fn signed(&mut self, nonces: &mut Nonces, payer: usize) -> Transaction {
        let fee_payer = self.payer(payer);
        let amount = Amount::from_nanomina(2_000_000_000 + self.random.below(1_000_000_000));
        let (body, is_applied) = match self.random.below(8) {
            0 => {
                let receiver = self.stranger();
                (CommandBody::Payment { receiver, amount }, true)
            }
            1 => {
                let receiver = fee_payer;
                (CommandBody::Payment { receiver, amount }, true)
            }
            2 => {
                let receiver = self.any_payer();
                (CommandBody::Payment { receiver, amount }, false)
            }
            3 => {
                let delegate = self.any_payer();
                (CommandBody::Delegation { delegate }, true)
            }
            4 => {
                let delegate = self.stranger();
                (CommandBody::Delegation { delegate }, false)
            }
            _ => {
                let receiver = self.any_payer();
                (CommandBody::Payment { receiver, amount }, true)
            }
        };
        let command = SignedCommand {
            fee_payer,
            fee: Amount::from_nanomina(1_000_000 + self.random.below(1000)),
            nonce: nonces.next(fee_payer),
            valid_until: self.random.once_in(2).then(|| self.random.below32(1 << 30)),
            memo: memo(&mut self.random),
            body,
        };
        Transaction::Signed(command, is_applied)
    }

    /// A zkApp command that changes accounts that pay for no zkApp command.
    fn zkapp(&mut self, nonces: &mut Nonces, payer: usize, is_applied: bool) -> Transaction {
        let payer = self.payer(payer);
        let amount = i64::try_from(self.random.below(1_000_000)).unwrap_or(0);
        let [from, to] = [10, 11].map(|number| self.payer(number));
        Transaction::Zkapp {
            payer,
            fee: 2_000_000 + self.random.below(1000),
            nonce: nonces.next(payer),
            receipt: ReceiptChainHash::new(self.random.field()),
            updates: vec![(from, -amount), (to, amount)],
            is_applied,
        }
    }

    /// A coinbase and fee transfers, of all kinds in turn.
    fn internal(&mut self, height: u32) -> Vec<Transaction> {
        let coinbase = |receiver, transfer, is_applied| Transaction::Coinbase {
            receiver,
            amount: 720_000_000_000,
            transfer,
            is_applied,
        };
        let [one, two, three] = [3, 5, 12].map(|number| self.payer(number));
        let mut all = match height % 4 {
            0 => vec![coinbase(one, None, true)],
            1 => vec![coinbase(one, Some((two, 7_000_000)), true)],
            2 => {
                let stranger = self.stranger();
                vec![coinbase(stranger, Some((three, 5_000_000)), true)]
            }
            _ => vec![coinbase(two, None, false)],
        };
        all.push(match height % 3 {
            0 => Transaction::FeeTransfer(vec![(three, 9_000_000, true)]),
            1 => Transaction::FeeTransfer(vec![(two, 9_000_000, true), (one, 3_000_000, true)]),
            _ => {
                let stranger = self.stranger();
                let fee = 1_500_000_000;
                Transaction::FeeTransfer(vec![(stranger, fee, true), (three, 4_000_000, false)])
            }
        });
        all
    }
}

/// The next nonce of each payer.
struct Nonces(Vec<(PublicKey, u32)>);

impl Nonces {
    fn new(state: &[Account]) -> Self {
        let default = state
            .iter()
            .filter(|account| account.token_id == TokenId::DEFAULT);
        Self(default.map(|one| (one.public_key, one.nonce)).collect())
    }

    fn next(&mut self, key: PublicKey) -> u32 {
        match self.0.iter_mut().find(|(other, _)| *other == key) {
            Some((_, nonce)) => {
                *nonce += 1;
                *nonce - 1
            }
            None => 0,
        }
    }
}
