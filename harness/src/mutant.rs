//! The names of the mistakes that the harness must notice, at both of its levels.
//!
//! What a mistake is and where it is made stands with the level that makes it: the model around the
//! shipped protocol, or the world around the shipped supervisor. Neither is in what ships.

use std::fmt;
use std::str::FromStr;

/// A word that names no mutant.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("there is no mutant `{0}`")]
pub struct NoSuchMutant(String);

macro_rules! mutants {
    ($($name:ident)*) => {
        /// A mistake, by its number in the plan of the harness.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[allow(missing_docs, reason = "each is described where it is made")]
        pub enum Mutant {
            None,
            $($name),*
        }

        impl Mutant {
            /// All of them, by their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }

        impl FromStr for Mutant {
            type Err = NoSuchMutant;

            fn from_str(text: &str) -> Result<Self, NoSuchMutant> {
                match text {
                    $(stringify!($name) => Ok(Self::$name),)*
                    _ => Err(NoSuchMutant(text.to_owned())),
                }
            }
        }
    };
}

mutants! {
    M00 M01 M02 M03 M04 M05 M06 M07 M08 M09
    M10 M11 M12 M13 M14 M15 M16 M17 M18 M19
    M20 M21 M22 M23 M24 M25 M26 M27 M28 M29
    M30 M31 M32 M33 M34 M35 M36 M37 M38 M39
    M40 M41 M42 M43 M44 M45 M46 M47 M48 M49
    M50 M51 M52 M53 M54 M55 M56 M57 M58 M59
    M60 M61 M62 M63 M64 M65 M66
}

/// Mistakes that are made at the same time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Mutants(u128);

impl Mutants {
    /// What ships: none.
    pub const NONE: Self = Self(0);

    /// Returns a set of one mutant; of none for [`Mutant::None`].
    #[must_use]
    pub const fn only(mutant: Mutant) -> Self {
        Self::NONE.and(mutant)
    }

    /// Returns the set with one more.
    #[must_use]
    pub const fn and(self, mutant: Mutant) -> Self {
        match mutant {
            Mutant::None => self,
            mutant => Self(self.0 | 1 << (mutant as u128 - 1)),
        }
    }

    /// Says whether one of them writes rows without looking what they are at.
    pub(crate) fn write_blind(self) -> bool {
        const BLIND: [Mutant; 6] =
            [Mutant::M02, Mutant::M11, Mutant::M35, Mutant::M42, Mutant::M49, Mutant::M51];
        BLIND.into_iter().any(|mutant| self.has(mutant))
    }

    /// Says whether a mutant is in it.
    #[must_use]
    pub const fn has(self, mutant: Mutant) -> bool {
        self.0 & Self::only(mutant).0 != 0
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, formatter)
    }
}

/// The ids with commas between them.
impl fmt::Display for Mutants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let present = Mutant::ALL.iter().filter(|mutant| self.has(**mutant));
        let ids: Vec<_> = present.map(ToString::to_string).collect();
        formatter.write_str(&ids.join(","))
    }
}
