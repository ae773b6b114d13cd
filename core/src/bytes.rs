//! Text that the operating system does not promise to be UTF-8: arguments, folders, names of
//! variables.
//!
//! It is never repaired: what came in goes out, byte for byte.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A byte string without a NUL, as the operating system takes arguments and paths.
///
/// Its serialised form is a plain string when it is valid UTF-8, and otherwise
/// `{"bytes": "<base64>"}`: one form for the store, the API and recorded timelines.
#[derive(Clone, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ByteString(Vec<u8>);

/// A byte string that the operating system could not take, because it has a NUL in it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is a NUL byte at position {position}: remove it")]
pub struct HasNul {
    /// Where the first NUL stands, counted in bytes from 0.
    pub position: usize,
}

impl ByteString {
    /// Takes the bytes as they are.
    ///
    /// # Errors
    ///
    /// [`HasNul`] when one of them is 0; tell the caller which argument it was.
    pub fn new(bytes: Vec<u8>) -> Result<Self, HasNul> {
        match bytes.iter().position(|&byte| byte == 0) {
            Some(position) => Err(HasNul { position }),
            None => Ok(Self(bytes)),
        }
    }

    /// Returns the bytes, without a terminating NUL.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the text for a person, with U+FFFD for what is not UTF-8. Never use it to act on.
    #[must_use]
    pub fn to_text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl TryFrom<&str> for ByteString {
    type Error = HasNul;

    fn try_from(text: &str) -> Result<Self, HasNul> {
        Self::new(text.as_bytes().to_vec())
    }
}

impl Serialize for ByteString {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match core::str::from_utf8(&self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("bytes", &BASE64.encode(&self.0))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for ByteString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> Visitor<'de> for Form {
            type Value = ByteString;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string, or {\"bytes\": \"<base64>\"}")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteString, E> {
                ByteString::try_from(text).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ByteString, A::Error> {
                let Some((key, value)) = map.next_entry::<String, String>()? else {
                    return Err(de::Error::missing_field("bytes"));
                };
                if key != "bytes" {
                    return Err(de::Error::unknown_field(&key, &["bytes"]));
                }
                let bytes = BASE64.decode(value).map_err(de::Error::custom)?;
                ByteString::new(bytes).map_err(de::Error::custom)
            }
        }

        deserializer.deserialize_any(Form)
    }
}
