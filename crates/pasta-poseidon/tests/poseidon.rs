//! Poseidon against published vectors.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use pasta_poseidon::{
    Fp, Instance, Kernel, State, hash, hash_batch, hash_pairs, prefix_state, salt,
};
use proptest::prelude::*;
use serde_json::Value;

fn from_hex(text: &str) -> Fp {
    assert_eq!(text.len(), 64);
    let bytes = std::array::from_fn(|index| {
        u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap()
    });
    Fp::from_le_bytes(&bytes).unwrap()
}

fn from_decimal(text: &str) -> Fp {
    Fp::from_decimal(text).unwrap()
}

/// Inputs, kimchi output, legacy output; all 32 bytes little-endian. No prefix: the state starts at
/// zero. Source: o1-labs/proof-systems `poseidon/tests/test_vectors/{kimchi,legacy}.json`.
const PUBLISHED: [(&[&str], &str, &str); 6] = [
    (
        &[],
        "a8eb9ee0f30046308abbfa5d20af73c81bbdabc25b459785024d045228bead2f",
        "1b3251b6912d82edc78bbb0a5c88f0c6fde1781bc3e654123fa6862a4c63e617",
    ),
    (
        &["f2eee8d8f6e5fb182c610cae6c5393fce69dc4d900e7b4923b074e54ad00fb36"],
        "fb5992f65c07f9335995f43fd791d39012ad466717729e61045c297507054f3d",
        "e99262048e717745fdcd602a3b527e9e7c2e5ba5894158084e2f2e2cb142643d",
    ),
    (
        &[
            "bd3f1c8f183ceedea15080edbe79d30bd7d613b86bf2ba12007091c60ae39337",
            "65e4f04ab87706bab06d13c7eee0a7807d0b8ce268b4ece6aab1e0508ec9c42f",
        ],
        "fe2436f2027620a11233318b55d0a117086f09674826d1b7ce08d48ad0736c33",
        "1f8f9d2fb9547d0254a1c0271ff40042a59927e82fd097d7fa723f8551e8c23a",
    ),
    (
        &[
            "f5ea61ce47773495363dc4f6a41c3e2da14b13d6dd173acf87c9ca7357fb2400",
            "f28573f49c658b4ba151e82ed0bd6aaab045311d1a72df58c21eed462bede018",
            "73cf45c39285f17ccea99e0daeb547430cf7921218fe3726010f608e682a841a",
        ],
        "9b1b94444a54af49a7623d1fe1ca72649f0a098daf5704925f024eb6ab0e4b3f",
        "997810fa8f33879e689c808021d7f1cf302f30f0075754e43dc2f75d76bb3920",
    ),
    (
        &[
            "4c28b87198e0012207f93cdbdaa35355ec8213fa97a60e62701f62602d465920",
            "0787a40fc046c4dd0ff3cad0e54006577fece871c774707494984f1c7d334727",
            "1504ffe48e4e6dfcc4ded439edd386cf271b69d94afae83079f3ee3e7c04d52d",
            "290b6506516fe7588b5100f8db2e871427c6d74e7a60ab656f43dd9bc687c312",
        ],
        "47ecd3bf2eed86dcf8d2cef3d7667104689dba4d9bcb54006e0c66f6ec8c5a16",
        "f930ae5bef2098e3b71949e9878caf5659897f3b9eb1711f296a99cfb740ec3f",
    ),
    (
        &[
            "da99182b35f2cd9f8a137052c4262576377a16deb83652db459a74893a0cf73c",
            "9805573990c4028292c9db171cd2b97902f9fc494983f6f7e0a0c184bc55df1b",
            "90ff1001b9dab21358aad1f6b7906a56d0c039502c1590c3ef9921a8951e4409",
            "88b56238a0eda34576db959fecd1c3790bb5311fdb231753243c5085974a5b37",
            "896a7727e511a4c30d99082bf3542623fb702afab0b62ebbf301ed51e38f6812",
        ],
        "09a2d55277908b7c8214f745b3605f0f9055dcd4c9b594cdd759292c34c3a20c",
        "461b6ec08fd3a9c37033efd409cf548493b003b2f500db845d5d1fd2ffce1b02",
    ),
];

#[test]
fn published_vectors() {
    for (inputs, kimchi, legacy) in PUBLISHED {
        let inputs: Vec<Fp> = inputs.iter().copied().map(from_hex).collect();
        for (instance, expected) in [(Instance::Kimchi, kimchi), (Instance::Legacy, legacy)] {
            assert_eq!(
                hash(&State::zero(instance), &inputs),
                from_hex(expected),
                "{instance:?}, {} inputs",
                inputs.len()
            );
        }
    }
}

/// Prefix, instance and the three words in decimal. The kimchi states are published (o1-labs/o1js
/// `src/bindings/crypto/constants.ts`), the legacy ones computed by a second implementation.
const PREFIX_STATES: [(&str, Instance, [&str; 3]); 11] = [
    (
        "MinaAccount",
        Instance::Kimchi,
        [
            "21547009634669789644192675386133007766042650219024716227935570378579547706642",
            "3869977418072959680344087467966431440327948593054069717779845397512987438978",
            "17591003611016737523041467644989399067682599282318802410210271366172380277153",
        ],
    ),
    (
        "MinaZkappAccount",
        Instance::Kimchi,
        [
            "11742420651603425685690711434636216727968618158667382343736587130720645535016",
            "20917169788479399921968659996772666237321879817943938162255353371266230737562",
            "20221577186851444354528754069740362935513598751580381763045954351047955571417",
        ],
    ),
    (
        "MinaZkappUri",
        Instance::Kimchi,
        [
            "534822897390732927195976832726937157108052596941484097303405936433225931144",
            "21308674973525253012607500915181592359821899373849668837401701284134790635210",
            "19235616568963430752220890547731083898076295596325584947617173371158207986317",
        ],
    ),
    (
        "MinaSideLoadedVk",
        Instance::Kimchi,
        [
            "27153629295534844750482612843518005572402188741101822965689207110291504095805",
            "11073437601016088346212553894160581939150688827288603152461976873708720172824",
            "9169013693168830396847022454402673046094697740892173219744332585469764409612",
        ],
    ),
    (
        "MinaDeriveTokenId",
        Instance::Kimchi,
        [
            "6192019453766080264591455948244350296532066491511280821771403784079613278630",
            "3474280028978446563781013959252007045004226094384968366087940198662654278266",
            "20434002876694963787609307807174199928279086350854834006718281273564667456637",
        ],
    ),
    (
        "MinaMklTree000",
        Instance::Kimchi,
        [
            "8397268313679062041369959431253823194029931472150942928062160502284391094281",
            "24767884761786058961844271624848183563027832662151526765582126547150580343286",
            "15520161476079946346223794435136450862321049619449569410496603974021593252201",
        ],
    ),
    (
        "MinaMklTree001",
        Instance::Kimchi,
        [
            "12373852158717286419843731546435335382149645091717657472272709119680142489615",
            "13564003298811293044133692367818358732199958610489782205113648738971877309993",
            "5337043262085238844960907983211959910580364187637104432942748885155441259131",
        ],
    ),
    (
        "MinaMklTree034",
        Instance::Kimchi,
        [
            "16036605154418397696690227738898261818934103448455753144542686857246049934251",
            "13116195790811852398580983299275910910260911290232634459841017490947920635760",
            "20914357145334136112903459144371894839046767011252485660349261543687439240515",
        ],
    ),
    (
        "CodaAccount",
        Instance::Legacy,
        [
            "12998954778669241781448774976300398324919051791695676472777494503713667303740",
            "6323689934661546640754775526080351721071089602132555750654792316900709540562",
            "4743986494909653027808222635607813381449303609213534174959940818185014464420",
        ],
    ),
    (
        "CodaSnappAccount",
        Instance::Legacy,
        [
            "17839372428932342299543173964512606064293514662709195107241314287883744283361",
            "17989461190262187354211766489796883181807660425973131058290984986184044023378",
            "28939897845112579939256835999423969513778357992481179670960111511838318954482",
        ],
    ),
    (
        "CodaMklTree000",
        Instance::Legacy,
        [
            "10554687738460772540199259925918331658361974442092100813628543932101659700841",
            "3277966664441459425366885963364231543481228004971748498245029723100508917565",
            "24908009308954484057476522863773162252999344657764361590451246682395745703070",
        ],
    ),
];

#[test]
fn prefix_states() {
    for (prefix, instance, words) in PREFIX_STATES {
        assert_eq!(
            *prefix_state(instance, prefix).words(),
            words.map(from_decimal),
            "{prefix}"
        );
    }
}

#[test]
fn prefixes_are_padded_and_cut_to_twenty_bytes() {
    let kimchi = |prefix| prefix_state(Instance::Kimchi, prefix);
    assert_eq!(kimchi("MinaAccount"), kimchi("MinaAccount*********"));
    assert_eq!(
        kimchi("12345678901234567890"),
        kimchi("123456789012345678901")
    );
    assert_ne!(
        kimchi("1234567890123456789"),
        kimchi("12345678901234567890")
    );
    assert_ne!(
        kimchi("MinaAccount"),
        prefix_state(Instance::Legacy, "MinaAccount")
    );
}

#[test]
fn salts() {
    assert_eq!(
        salt(Instance::Kimchi, "MinaZkappActionStateEmptyElt"),
        from_hex("f96569d2dac179c81e3d0b5824ac86e8292e3fe952f7861ff857b93554bc7237")
    );
    assert_eq!(
        salt(Instance::Legacy, "CodaReceiptEmpty"),
        from_hex("0b143c0645497a5987a7b88f66340e03db943f0a0df48b69a3a82921ce97b10a")
    );
}

#[test]
#[should_panic(expected = "a salt must fit one field element")]
fn long_salts_are_refused() {
    let _ = salt(Instance::Kimchi, "12345678901234567890123456789012");
}

/// The word-0 values after every block of two accounts' eight elements, 64 big-endian digits each.
#[test]
fn worked_example_block_by_block() {
    let from_big_endian = |text: &str| {
        let bytes: [u8; 32] = std::array::from_fn(|index| {
            u8::from_str_radix(&text[62 - 2 * index..64 - 2 * index], 16).unwrap()
        });
        Fp::from_le_bytes(&bytes).unwrap()
    };
    // The genesis winner with 1000 nanomina, hashed as in Mesa.
    let elements = [
        "1f7951fc1ffb6a41dd2fe801480001fb125c39e166fabfb6b52a7ef4be6d676b",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "31d36bb7985684ad4e4be03b6043d77b795bb7befe4eeae4f3855fd25bc6480f",
        "0ab197ce2129a8a3698bf40d0a3f94db030e34668fb8a787597a4945063c140b",
        "0000000000000000000000000000000000000000000000000000000000000001",
        "31d36bb7985684ad4e4be03b6043d77b795bb7befe4eeae4f3855fd25bc6480f",
        "00000075d6d8000000236db60000000000000000000000000000000000000000",
        "00000000000400000000000000000000000000000000000007d0000000000000",
    ]
    .map(from_big_endian);
    let first_words = [
        "09530eaec65f73ec789d760323de815aa55845adce97e920d1c32ec1474cc9a9",
        "2e3bc3deee01b1c0de7a144f116a4823c167959982828da6a273e7892bc02dda",
        "321f4cbb68b67067e4fcdbc22b11b158b4f594de73a3e5b14b5509c1af6cc5a6",
        "0564c1cef410d4430e4a715ba6a716458f7dead92630d072d0bbb38bdf40022c",
    ];
    let mut state = prefix_state(Instance::Kimchi, "MinaAccount");
    assert_eq!(hash(&state, &elements), from_big_endian(first_words[3]));
    for (pair, expected) in elements.as_chunks::<2>().0.iter().zip(first_words) {
        state.absorb_pair(*pair);
        assert_eq!(state.words()[0], from_big_endian(expected));
    }
}

fn decimal_of(value: &Value) -> Fp {
    from_decimal(value.as_str().unwrap())
}

#[test]
fn shared_primitives() {
    let Some(text) = support::read_shared("vectors/primitives.json") else {
        return;
    };
    let vectors: Value = serde_json::from_str(&text).unwrap();

    assert_eq!(
        salt(Instance::Kimchi, "MinaZkappActionStateEmptyElt"),
        decimal_of(&vectors["empty_action_state"])
    );
    assert_eq!(
        salt(Instance::Legacy, "CodaReceiptEmpty"),
        decimal_of(&vectors["receipt_chain_hash_empty"]["field"])
    );
    assert_eq!(
        hash(&prefix_state(Instance::Kimchi, "MinaZkappUri"), &[]),
        decimal_of(&vectors["zkapp_uri_none_hash"])
    );
    let merges = vectors["merge_1_2_by_height"].as_array().unwrap();
    assert_eq!(merges.len(), 35);
    for (height, expected) in merges.iter().enumerate() {
        let state = prefix_state(Instance::Kimchi, &format!("MinaMklTree{height:03}"));
        let mut result = [Fp::ZERO];
        hash_pairs(&state, &[[Fp::ONE, Fp::from_u64(2)]], &mut result);
        assert_eq!(result, [decimal_of(expected)], "height {height}");
    }
    for era in ["berkeley", "mesa"] {
        let hashes = vectors[format!("empty_subtree_{era}")].as_array().unwrap();
        assert_eq!(hashes.len(), 36);
        for (height, pair) in hashes.windows(2).enumerate() {
            let state = prefix_state(Instance::Kimchi, &format!("MinaMklTree{height:03}"));
            let child = decimal_of(&pair[0]);
            assert_eq!(
                hash(&state, &[child, child]),
                decimal_of(&pair[1]),
                "{era} {height}"
            );
        }
    }
}

#[test]
fn shared_constants_are_the_compiled_ones() {
    let Some(text) = support::read_shared("vectors/poseidon_constants.json") else {
        return;
    };
    let tables: Value = serde_json::from_str(&text).unwrap();
    for (instance, name) in [(Instance::Kimchi, "kimchi"), (Instance::Legacy, "legacy")] {
        let state = [1, 2, 3].map(Fp::from_u64);
        let mut permuted = State::new(instance, state);
        permuted.absorb_pair([Fp::ZERO; 2]);
        assert_eq!(
            *permuted.words(),
            textbook_permutation(&tables[name], state),
            "{name}"
        );
    }
}

/// The permutation written down from its definition, with the tables of the shared file.
fn textbook_permutation(table: &Value, mut state: [Fp; 3]) -> [Fp; 3] {
    let row = |value: &Value| -> [Fp; 3] { std::array::from_fn(|index| decimal_of(&value[index])) };
    let mds: [[Fp; 3]; 3] = std::array::from_fn(|index| row(&table["mds"][index]));
    let mut constants = table["round_constants"].as_array().unwrap().iter().map(row);
    let mut add_constants = |state: [Fp; 3]| {
        let constants = constants.next().unwrap();
        std::array::from_fn(|index| state[index] + constants[index])
    };
    if table["initial_round_constants"] == true {
        state = add_constants(state);
    }
    for _ in 0..table["rounds"].as_u64().unwrap() {
        let powers = state
            .map(|word| (1..table["alpha"].as_u64().unwrap()).fold(word, |power, _| power * word));
        state = add_constants(std::array::from_fn(|index| {
            mds[index][0] * powers[0] + mds[index][1] * powers[1] + mds[index][2] * powers[2]
        }));
    }
    assert!(constants.next().is_none(), "every row is used");
    state
}

fn instance() -> impl Strategy<Value = Instance> {
    prop_oneof![Just(Instance::Kimchi), Just(Instance::Legacy)]
}

/// Arbitrary elements, and those at the ends of the range, where a missing reduction would show.
fn element() -> impl Strategy<Value = Fp> {
    prop_oneof![
        2 => any::<[u8; 32]>().prop_map(|bytes| Fp::from_le_bytes_reduced(&bytes)),
        1 => (0_u64..3).prop_map(Fp::from_u64),
        1 => (0_u64..3).prop_map(|value| -Fp::from_u64(value)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn batches_equal_single_hashes(
        instance in instance(),
        words in prop::array::uniform3(element()),
        width in 0_usize..10,
        count in 0_usize..20,
        pool in prop::collection::vec(element(), 200),
    ) {
        let state = State::new(instance, words);
        let inputs = &pool[..width * count];
        let mut batch = vec![Fp::ZERO; count];
        hash_batch(&state, width, inputs, &mut batch);
        for (index, result) in batch.iter().enumerate() {
            prop_assert_eq!(*result, hash(&state, &inputs[index * width..(index + 1) * width]));
        }
        let pairs = pool[..2 * count].as_chunks::<2>().0;
        hash_pairs(&state, pairs, &mut batch);
        for (pair, result) in pairs.iter().zip(&batch) {
            prop_assert_eq!(*result, hash(&state, pair));
        }
    }

    #[test]
    fn absorbing_in_pieces_is_hashing_at_once(
        instance in instance(),
        inputs in prop::collection::vec(element(), 1..12),
        cut in 0_usize..6,
    ) {
        let cut = (2 * cut).min(inputs.len() / 2 * 2);
        let mut state = prefix_state(instance, "MinaAccount");
        let expected = hash(&state, &inputs);
        state.absorb(&inputs[..cut]);
        state.absorb(&inputs[cut..]);
        prop_assert_eq!(state.words()[0], expected);
    }
}

#[test]
fn odd_inputs_are_completed_with_zero_and_empty_ones_permute_once() {
    let state = prefix_state(Instance::Kimchi, "MinaAccount");
    let (one, two, three) = (Fp::ONE, Fp::from_u64(2), Fp::from_u64(3));
    assert_eq!(
        hash(&state, &[one, two, three]),
        hash(&state, &[one, two, three, Fp::ZERO])
    );
    assert_eq!(hash(&state, &[]), hash(&state, &[Fp::ZERO]));
    assert_ne!(hash(&state, &[]), state.words()[0]);
    let mut unchanged = state;
    unchanged.absorb(&[]);
    assert_eq!(unchanged, state);
}

#[test]
#[should_panic(expected = "a batch must hold `width` elements per result")]
fn ragged_batches_are_refused() {
    let state = State::zero(Instance::Kimchi);
    hash_batch(&state, 2, &[Fp::ONE; 3], &mut [Fp::ZERO]);
}

#[test]
fn kernels_have_names() {
    assert_eq!(Kernel::ALL.map(Kernel::name), ["portable", "adx", "ifma"]);
    assert!(Kernel::Portable.is_available());
    assert!(Kernel::active().is_available());
    Kernel::check().unwrap();
}
