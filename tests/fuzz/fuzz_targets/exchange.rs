#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| clampd_fuzz::exchange::exchange(input));
