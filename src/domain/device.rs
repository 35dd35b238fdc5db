//! A device: a login of a gadget or a program that acts as somebody, and may do less.
//!
//! Not here: what is allowed where (`api/device.rs`), and how a request is signed (`api/signature.rs`).

use crate::domain::{GroupId, Time, TokenId};

/// One thing a device may be allowed to do; on the wire a verb, a word that means something else in here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permit {
    /// Log entries.
    Log = 1,
    /// Read and hear its groups.
    Read = 2,
    /// Talk and react in its groups.
    Chat = 4,
    /// Notify the members of its groups.
    Notify = 8,
}

impl Permit {
    /// All of them, in the order they are shown.
    pub const ALL: [Permit; 4] = [Permit::Log, Permit::Read, Permit::Chat, Permit::Notify];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Permit::Log => "log",
            Permit::Read => "read",
            Permit::Chat => "chat",
            Permit::Notify => "notify",
        }
    }
}

/// What a device may do; never nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permits(u8);

impl Permits {
    /// Those of these words; `None` when one is none of ours, or there is none.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Option<Permits> {
        let bits = words.into_iter().try_fold(0, |bits, word| {
            let known = Permit::ALL.into_iter().find(|permit| permit.as_str() == word)?;
            Some(bits | known as u8)
        })?;
        (bits != 0).then_some(Permits(bits))
    }

    /// Those stored as this number. Bits that nobody knows allow nothing.
    pub fn from_bits(bits: i64) -> Permits {
        Permits((bits & 15) as u8)
    }

    /// The number to store.
    pub fn bits(self) -> i64 {
        i64::from(self.0)
    }

    /// Whether this is among them.
    pub fn include(self, permit: Permit) -> bool {
        self.0 & permit as u8 != 0
    }

    /// The words on the wire.
    pub fn words(self) -> impl Iterator<Item = &'static str> {
        Permit::ALL.into_iter().filter(move |permit| self.include(*permit)).map(Permit::as_str)
    }
}

/// A device as its person sees it in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its login's number, which is also the name of its signing key.
    pub id: TokenId,
    /// What its person calls it.
    pub name: String,
    /// What it may do.
    pub permits: Permits,
    /// Where, with the groups' names.
    pub groups: Vec<(GroupId, String)>,
    /// When it was made.
    pub made_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_permits_and_back() {
        let permits = Permits::parse(["read", "log", "read"]).unwrap();
        assert_eq!(permits.words().collect::<Vec<_>>(), ["log", "read"]);
        assert!(permits.include(Permit::Log) && !permits.include(Permit::Chat));
        assert_eq!(Permits::from_bits(permits.bits()), permits);
        for bad in [&[][..], &["admin"], &["log", ""], &["Log"]] {
            assert_eq!(Permits::parse(bad.iter().copied()), None, "{bad:?}");
        }
        assert_eq!(Permits::from_bits(16).words().count(), 0, "unknown bits allow nothing");
    }
}
