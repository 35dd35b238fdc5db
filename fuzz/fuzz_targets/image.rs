//! Pictures: whatever the bytes, there is a thumbnail or a refusal, within bounds.

#![no_main]

use deuced::api::thumbnail::{Bounds, thumbnail};
use libfuzzer_sys::{Corpus, fuzz_target};

const BOUNDS: Bounds = Bounds { pixels: 250_000, decode_bytes: 4 << 20 };

fuzz_target!(
    // The decoders may panic (the code they are called by has a net for that), so the hook that makes every panic a
    // crash is taken away; one that gets past the net still ends the process.
    init: std::panic::set_hook(Box::new(|_| {})),
    |data: &[u8]| -> Corpus {
        if !data.starts_with(b"\xff\xd8\xff") && !data.starts_with(b"\x89PNG") {
            assert!(thumbnail(data, &BOUNDS).is_err());
            return Corpus::Reject;
        }
        if let Ok(small) = thumbnail(data, &BOUNDS) {
            assert!(small.starts_with(b"\xff\xd8\xff") && small.len() < 200_000);
        }
        Corpus::Keep
    }
);
