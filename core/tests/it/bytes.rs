//! Byte strings: what came in goes out, byte for byte.

use candor_core::bytes::{ByteString, HasNul};
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::json;

proptest! {
    #[test]
    fn any_bytes_without_a_nul_go_in_and_out_as_they_are(bytes in vec(1..=u8::MAX, 0..200)) {
        let taken = ByteString::new(bytes.clone()).unwrap();
        prop_assert_eq!(taken.as_bytes(), &bytes[..]);

        let text = serde_json::to_string(&taken).unwrap();
        let back: ByteString = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&back, &taken);
        // A store may go through a value instead of a text.
        let value = serde_json::to_value(&taken).unwrap();
        prop_assert_eq!(value.is_string(), core::str::from_utf8(&bytes).is_ok());
        let back: ByteString = serde_json::from_value(value).unwrap();
        prop_assert_eq!(back, taken);
    }

    #[test]
    fn any_text_is_written_as_that_text(text in "[^\0]{0,60}") {
        let taken = ByteString::try_from(text.as_str()).unwrap();
        prop_assert_eq!(taken.to_text(), text.as_str());
        prop_assert_eq!(serde_json::to_value(&taken).unwrap(), json!(text));
    }

    #[test]
    fn the_first_nul_is_named_by_its_position(bytes in vec(any::<u8>(), 0..200)) {
        match bytes.iter().position(|&byte| byte == 0) {
            Some(position) => {
                prop_assert_eq!(ByteString::new(bytes).unwrap_err(), HasNul { position });
            }
            None => prop_assert!(ByteString::new(bytes).is_ok()),
        }
    }
}

#[test]
fn a_nul_is_refused_wherever_it_stands() {
    let position = |text: &str| ByteString::try_from(text).unwrap_err().position;
    assert_eq!(position("\0"), 0);
    assert_eq!(position("ab\0cd\0"), 2);
    assert_eq!(position("abc\0"), 3);
    let message = HasNul { position: 2 }.to_string();
    assert_eq!(message, "there is a NUL byte at position 2: remove it");
}

#[test]
fn bytes_that_are_not_utf8_are_written_as_base64_and_shown_with_a_mark() {
    let taken = ByteString::new(b"a\xff".to_vec()).unwrap();
    assert_eq!(serde_json::to_value(&taken).unwrap(), json!({ "bytes": "Yf8=" }));
    assert_eq!(taken.to_text(), "a\u{fffd}");
}

#[test]
fn what_is_no_byte_string_is_refused() {
    let cases = [
        json!(7),
        json!(null),
        json!({}),
        json!({ "byte": "Yf8=" }),
        json!({ "bytes": "Yf8" }),
        json!({ "bytes": 7 }),
        json!({ "bytes": "Yf8=", "more": "Yf8=" }),
        json!({ "bytes": "AA==" }),
        json!("with\0nul"),
    ];
    for case in cases {
        let text = case.to_string();
        assert!(serde_json::from_str::<ByteString>(&text).is_err(), "{text}");
        assert!(serde_json::from_value::<ByteString>(case).is_err(), "{text}");
    }
}
