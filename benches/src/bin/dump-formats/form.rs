//! The forms.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use fork_bench::run::Failure;
use fork_ledger::account::Account;
use fork_ledger::batch::{AccountBatch, AccountReader};
use fork_ledger::binprot::{Reader, decode_account, encode_account, write_nat0};
use fork_ledger::json::write_account_json;
use fork_types::Era;

/// Era of the accounts.
const ERA: Era = Era::Berkeley;

/// Levels of zstd: the default, and the highest without more memory for the reader.
const ZSTD_LEVELS: [i32; 2] = [3, 19];

/// A form of a dumped ledger.
pub(crate) struct Form {
    pub(crate) name: String,
    encoding: Encoding,
    packing: Packing,
}

#[derive(Clone, Copy)]
enum Encoding {
    Json,
    BinProt,
}

#[derive(Clone, Copy)]
enum Packing {
    None,
    Gzip,
    Zstd(i32),
}

/// All of them, plain JSON first.
pub(crate) fn forms() -> Vec<Form> {
    [Encoding::Json, Encoding::BinProt]
        .into_iter()
        .flat_map(|encoding| {
            let packings = [
                Packing::None,
                Packing::Gzip,
                Packing::Zstd(ZSTD_LEVELS[0]),
                Packing::Zstd(ZSTD_LEVELS[1]),
            ];
            packings.map(|packing| {
                let encoded = match encoding {
                    Encoding::Json => "JSON",
                    Encoding::BinProt => "bin_prot",
                };
                Form {
                    name: match packing {
                        Packing::None => encoded.to_owned(),
                        Packing::Gzip => format!("{encoded}, gzip 6"),
                        Packing::Zstd(level) => format!("{encoded}, zstd {level}"),
                    },
                    encoding,
                    packing,
                }
            })
        })
        .collect()
}

impl Form {
    pub(crate) fn write(&self, accounts: &[Account]) -> Result<Vec<u8>, Failure> {
        let encoded = match self.encoding {
            Encoding::Json => json(accounts),
            Encoding::BinProt => bin_prot(accounts)?,
        };
        Ok(match self.packing {
            Packing::None => encoded,
            Packing::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(&encoded)?;
                encoder.finish()?
            }
            Packing::Zstd(level) => zstd::encode_all(&encoded[..], level)?,
        })
    }

    pub(crate) fn read(&self, bytes: &[u8]) -> Result<Vec<Account>, Failure> {
        match self.packing {
            Packing::None => self.decode(bytes),
            Packing::Gzip => self.decode(GzDecoder::new(bytes)),
            Packing::Zstd(_) => self.decode(zstd::Decoder::new(bytes)?),
        }
    }

    fn decode(&self, mut source: impl Read + Send) -> Result<Vec<Account>, Failure> {
        match self.encoding {
            Encoding::Json => read_json(source),
            Encoding::BinProt => {
                let mut bytes = Vec::new();
                source.read_to_end(&mut bytes)?;
                read_bin_prot(&bytes)
            }
        }
    }
}

/// A bare list, one account per line.
pub(crate) fn json(accounts: &[Account]) -> Vec<u8> {
    let mut text = vec![b'['];
    for (index, account) in accounts.iter().enumerate() {
        text.extend_from_slice(if index == 0 { b"\n" } else { b",\n" });
        write_account_json(account, &mut text);
    }
    text.extend_from_slice(b"\n]\n");
    text
}

fn read_json(source: impl Read + Send) -> Result<Vec<Account>, Failure> {
    let mut reader = AccountReader::new(source, ERA, false);
    let mut accounts = Vec::new();
    while let Some(batch) = reader.next_batch()? {
        match batch {
            AccountBatch::Later(batch) => accounts.extend(batch),
            AccountBatch::V1(_) => return Err("accounts of another era".into()),
        }
    }
    Ok(accounts)
}

fn bin_prot(accounts: &[Account]) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let mut one = Vec::new();
    for account in accounts {
        one.clear();
        encode_account(account, &mut one);
        write_nat0(u64::try_from(one.len())?, &mut bytes);
        bytes.extend_from_slice(&one);
    }
    Ok(bytes)
}

fn read_bin_prot(bytes: &[u8]) -> Result<Vec<Account>, Failure> {
    let mut accounts = Vec::new();
    let mut reader = Reader::new(bytes);
    while reader.offset() < bytes.len() {
        let length = usize::try_from(reader.nat0()?)?;
        accounts.push(decode_account(ERA, reader.bytes(length)?)?);
    }
    Ok(accounts)
}
