#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| clampd_fuzz::text::fold(input));
