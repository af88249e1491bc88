#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| (fork_fuzz::target_named("release_envelope").run)(data));
