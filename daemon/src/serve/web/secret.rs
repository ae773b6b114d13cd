//! Secrets that clients show, and what is kept of them.

use std::fmt;
use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Bytes of randomness in a secret: 256 bits, so that nobody guesses one.
const SECRET_BYTES: usize = 32;

/// Something that only its owner knows. Printing it for debugging shows nothing of it.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Makes a new one, which begins with `prefix`.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub(super) fn random(prefix: &str) -> io::Result<Self> {
        let mut bytes = [0; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(io::Error::from)?;
        Ok(Self(format!("{prefix}{}", hexadecimal(&bytes))))
    }

    /// Takes one for secret that its owner has shown.
    pub(super) fn shown(secret: &str) -> Self {
        Self(secret.to_owned())
    }

    /// Shows it, to hand it to its owner.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> Digest {
        Digest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(***)")
    }
}

/// What is kept of a secret: its SHA-256. As the secret is random, it needs no salt.
#[derive(Clone, Copy)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Compares in a time that does not depend on where the two differ.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Digest(***)")
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hexadecimal(&self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || de::Error::custom("not the SHA-256 of anything");
        let mut bytes = [0; 32];
        if !text.is_ascii() || text.len() != 2 * bytes.len() {
            return Err(wrong());
        }
        for (at, byte) in bytes.iter_mut().enumerate() {
            let digits = &text[2 * at..2 * at + 2];
            *byte = u8::from_str_radix(digits, 16).map_err(|_| wrong())?;
        }
        Ok(Self(bytes))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

#[cfg(test)]
mod tests {
    use super::{Digest, Secret};

    #[test]
    fn a_secret_has_256_bits_and_is_never_the_same() {
        let (one, other) = (Secret::random("a_").unwrap(), Secret::random("a_").unwrap());
        assert_eq!(one.reveal().len(), 2 + 64);
        assert!(!one.digest().is(&other.digest()));
        assert!(one.digest().is(&Digest::of(one.reveal())));
    }

    #[test]
    fn nothing_of_it_is_printed() {
        let secret = Secret::random("").unwrap();
        for text in [format!("{secret:?}"), format!("{:?}", secret.digest())] {
            assert!(text.contains("***") && !text.contains(&secret.reveal()[..4]), "{text}");
        }
    }

    #[test]
    fn a_digest_comes_back_and_nothing_else_is_one() {
        // Source: FIPS 180-2, appendix B.1.
        let text = "\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"";
        assert_eq!(serde_json::to_string(&Digest::of("abc")).unwrap(), text);
        assert!(serde_json::from_str::<Digest>(text).unwrap().is(&Digest::of("abc")));
        for wrong in ["\"\"", "\"ba78\"", &text.replace('b', "g"), &text.replace("ba", "ä")] {
            assert!(serde_json::from_str::<Digest>(wrong).is_err(), "{wrong}");
        }
    }
}
