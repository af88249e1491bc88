use super::*;
use crate::shared;

fn devnet() -> RuntimeConfig {
    let hash = |text: &str| text.parse::<LedgerHash>().unwrap();
    let s3 = |text: &str| text.parse::<S3DataHash>().unwrap();
    NewChain {
        genesis_timestamp: GenesisTimestamp::parse("2024-04-09 21:00:00+00:00")
            .unwrap()
            .0,
        fork_state_hash: "3NKSvjaGSKiQuAt8BP1b1VCpLbJc9RcEFjYCaBYsJJFdrtd6tpaV"
            .parse()
            .unwrap(),
        blockchain_length: 296_371,
        global_slot_since_genesis: SlotSinceGenesis::new(445_860),
        ledger: (
            hash("jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf"),
            s3("e2609d4d6a09656577468145a29c89bdc5f857b1b04a0b64c2d0e9f92937d909"),
        ),
        staking: EpochSection {
            seed: "2vbdR3vZUxh8NFnsnrefko7YCiLUKNPUbQpqSQAFXFijtTjd3531"
                .parse()
                .unwrap(),
            hash: hash("jxvdSnpgWjjERJFdcYNxChJ9F39v4tGrNSzDcaQXuXeJnicrYEP"),
            s3_data_hash: s3("84a349f6dd12c76b694b283975885994bcfb9117c3f41fa941e0229da3ce2a33"),
        },
        next: EpochSection {
            seed: "2vaduyGw7uST2rT1HmvSxjrkZX26XnFvu4NJvCebMmLzoWaQtdGT"
                .parse()
                .unwrap(),
            hash: hash("jxjmYHK1tnGy5S6CDaLDTRrDbw17DmtEd6Jnw3L86QSsLm15w5g"),
            s3_data_hash: s3("094ceb7c580ef53be0bf2385698fd8d2faebf91fdd8542c076df649aa261b94e"),
        },
        network_id: "devnet".to_owned(),
    }
    .into()
}

#[test]
fn the_released_devnet_config_is_reproduced() {
    let bytes = devnet().to_json().unwrap();
    assert_eq!(RuntimeConfig::from_json(&bytes).unwrap(), devnet());
    let Some(released) = shared::read("reference-data/config-devnet.json") else {
        return;
    };
    assert_eq!(String::from_utf8(bytes), String::from_utf8(released));
}

#[test]
fn hashes_file() {
    assert_eq!(
        String::from_utf8(devnet().hashes_json().unwrap()).unwrap(),
        "{\"ledger\":{\"s3_data_hash\":\
         \"e2609d4d6a09656577468145a29c89bdc5f857b1b04a0b64c2d0e9f92937d909\",\"hash\":\
         \"jy1wjiJgTkzXr7yL8r5x4ikaNJuikibsRMnkjdH6uqGCsDmR2sf\"},\"epoch_data\":{\"staking\":\
         {\"s3_data_hash\":\"84a349f6dd12c76b694b283975885994bcfb9117c3f41fa941e0229da3ce2a33\",\
         \"hash\":\"jxvdSnpgWjjERJFdcYNxChJ9F39v4tGrNSzDcaQXuXeJnicrYEP\"},\"next\":\
         {\"s3_data_hash\":\"094ceb7c580ef53be0bf2385698fd8d2faebf91fdd8542c076df649aa261b94e\",\
         \"hash\":\"jxjmYHK1tnGy5S6CDaLDTRrDbw17DmtEd6Jnw3L86QSsLm15w5g\"}}}"
    );
}

#[test]
fn stop_slots_and_other_members_are_refused_in_new_configs() {
    let text = String::from_utf8(devnet().to_json().unwrap()).unwrap();
    for (from, to) in [
        ("\"network_id\"", "\"slot_tx_end\": 1, \"network_id\""),
        (
            "\"add_genesis_winner\"",
            "\"num_accounts\": 1, \"add_genesis_winner\"",
        ),
        ("e2609d4d", "E2609D4D"),
        ("e2609d4d", "e2609d4"),
    ] {
        let text = text.replacen(from, to, 1);
        assert!(matches!(
            RuntimeConfig::from_json(text.as_bytes()),
            Err(ConfigError::Json { .. })
        ));
    }
}

#[test]
fn prefork_configs() {
    let config = PreforkConfig::from_json(
        br#"{"genesis": {"genesis_state_timestamp": "2021-09-23 17:00:00-07:00", "k": 290,
             "surprise": []},
             "proof": {"fork": {"state_hash": "3NKSvjaGSKiQuAt8BP1b1VCpLbJc9RcEFjYCaBYsJJFdrtd6tpaV",
                                "blockchain_length": 5, "genesis_slot": 7},
                       "block_window_duration_ms": 180000, "signature_kind": "testnet"},
             "ledger": {"accounts": [{"pk": "x", "token_symbol": "y"}], "name": "devnet"},
             "daemon": {"slot_tx_end": 1, "slot_chain_end": 2, "hard_fork_genesis_slot_delta": 3,
                        "network_id": "devnet"}}"#,
    )
    .unwrap();
    assert_eq!(
        config.genesis_timestamp.unwrap().to_string(),
        "2021-09-24T00:00:00Z"
    );
    assert_eq!(config.fork_slot().get(), 7);
    assert_eq!(config.clock(90_000).unwrap().fork_slot.get(), 7);
    assert_eq!(config.block_window_duration_ms, Some(180_000));
    assert_eq!(config.stop.hard_fork_genesis_slot_delta.unwrap().get(), 3);
    assert_eq!(config.schedule_input().slot_chain_end.unwrap().get(), 2);
    assert_eq!(config.warnings.len(), 1);
    let empty = PreforkConfig::from_json(b"{}").unwrap();
    assert_eq!(empty, PreforkConfig::default());
    assert_eq!((empty.fork_slot().get(), empty.clock(1)), (0, None));
    let nulls = br#"{"genesis": null, "proof": {"fork": null}, "daemon": {"slot_tx_end": null}}"#;
    assert_eq!(
        PreforkConfig::from_json(nulls).unwrap(),
        PreforkConfig::default()
    );
    let naive = br#"{"genesis": {"genesis_state_timestamp": "2021-09-23 16:00:00"}}"#;
    assert_eq!(PreforkConfig::from_json(naive).unwrap().warnings.len(), 1);
    for bad in [
        "[]",
        "{\"daemon\":{\"slot_tx_end\":\"1\"}}",
        "{\"daemon\":{\"slot_tx_end\":-1}}",
        "{\"proof\":{\"fork\":{}}}",
        "{\"ledger\":{\"hash\":\"x\"}}",
        "{\"genesis\":{\"genesis_state_timestamp\":\"now\"}}",
    ] {
        let error = PreforkConfig::from_json(bad.as_bytes()).unwrap_err();
        assert_eq!(error.class(), Class::BadInput, "{bad}");
    }
}
