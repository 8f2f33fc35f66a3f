#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ting_association::fuzzing::guard(data));
