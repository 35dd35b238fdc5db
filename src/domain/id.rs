//! Typed ids, and the only place where randomness is drawn.
//!
//! Rows have time-ordered UUIDs (version 7, RFC 9562 section 5.7), so that new rows land beside
//! each other on the card. What must not be guessed (invites, secrets) comes from the operating
//! system's generator and is never time-ordered.

use crate::domain::Time;
use std::{cell::Cell, fmt};
use uuid::{Builder, Uuid};

/// A person's number in the database. On the wire people have their `uid`, a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(pub i64);

/// A login's number in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenId(pub i64);

/// A room's number in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomId(pub i64);

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub [u8; 16]);

        impl $name {
            /// Reads the id from its wire form, the hyphenated UUID in either case.
            pub fn parse(text: &str) -> Option<$name> {
                // Other spellings that the parser knows (braces, no hyphens) are not ours.
                if text.len() != 36 {
                    return None;
                }
                Uuid::try_parse(text).ok().map(|uuid| $name(uuid.into_bytes()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut buffer = Uuid::encode_buffer();
                formatter.write_str(Uuid::from_bytes(self.0).hyphenated().encode_lower(&mut buffer))
            }
        }
    };
}

uuid_id!(
    /// A group.
    GroupId
);
uuid_id!(
    /// An entry of the diary.
    EntryId
);
uuid_id!(
    /// An event in a room's log; on the wire also `msgId`.
    EventId
);
uuid_id!(
    /// An invite. Whoever knows it may join, so it is random through and through.
    InviteId
);

impl GroupId {
    /// A new group's id.
    pub fn new() -> GroupId {
        GroupId(time_ordered())
    }
}

impl EntryId {
    /// A new entry's id. Larger than all that this thread made or was told of.
    pub fn new() -> EntryId {
        EntryId(time_ordered())
    }

    /// The smallest id that an entry stored at `time` can have.
    pub fn first_of(time: Time) -> EntryId {
        let millis = u64::try_from(time.millis()).unwrap_or(0);
        EntryId(Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid().into_bytes())
    }

    /// Makes all ids that this thread will make follow this one, whatever the clock says: ids are the
    /// order of entries, also after a restart in 1970.
    pub fn follow(self) {
        let millis = self.0[..6].iter().fold(0, |millis, byte| millis << 8 | u64::from(*byte));
        let counter = u16::from_be_bytes([self.0[6], self.0[7]]) & 0xfff;
        LAST.set(LAST.get().max((millis, counter)));
    }
}

impl EventId {
    /// A new event's id.
    pub fn new() -> EventId {
        EventId(time_ordered())
    }
}

impl InviteId {
    /// A new invite's id: 128 bits from the operating system. It looks like a UUID, and is none of its versions.
    pub fn new() -> InviteId {
        InviteId(random())
    }
}

impl Default for GroupId {
    fn default() -> GroupId {
        GroupId::new()
    }
}

impl Default for EntryId {
    fn default() -> EntryId {
        EntryId::new()
    }
}

impl Default for EventId {
    fn default() -> EventId {
        EventId::new()
    }
}

impl Default for InviteId {
    fn default() -> InviteId {
        InviteId::new()
    }
}

/// Bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give. There is nothing safe to do then.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

thread_local! {
    /// The newest id's milliseconds, and its number within them.
    static LAST: Cell<(u64, u16)> = const { Cell::new((0, 0)) };
    static TAIL: Cell<Option<nanorand::WyRand>> = const { Cell::new(None) };
}

/// A UUID v7. Within one thread each is larger than the one before, also in the same millisecond
/// and also when the clock goes back: a page of the index is then written once, not often.
fn time_ordered() -> [u8; 16] {
    let (last, counter) = LAST.get();
    let now = u64::try_from(Time::now().millis()).unwrap_or(0);
    let (millis, counter) = match now > last {
        true => (now, 0),
        false if counter < 0xfff => (last, counter + 1),
        false => (last + 1, 0),
    };
    LAST.set((millis, counter));

    // The tail only has to differ between ids of one server; nobody must be kept from guessing it.
    let mut generator =
        TAIL.take().unwrap_or_else(|| nanorand::WyRand::new_seed(u64::from_le_bytes(random())));
    let tail: u64 = nanorand::Rng::generate(&mut generator);
    TAIL.set(Some(generator));

    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&counter.to_be_bytes());
    bytes[2..].copy_from_slice(&tail.to_be_bytes());
    Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_one_thread_ascend() {
        let ids: Vec<EntryId> = (0..20_000).map(|_| EntryId::new()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn ids_follow_the_newest_one_from_before_the_clock_was_lost() {
        let future = EntryId::first_of(Time::now().plus_seconds(86_400 * 365));
        future.follow();
        let (first, second) = (EntryId::new(), EntryId::new());
        assert!(future < first && first < second);
    }

    #[test]
    fn an_id_survives_its_wire_form_in_either_case() {
        let id = GroupId::new();
        assert_eq!(GroupId::parse(&id.to_string()), Some(id));
        assert_eq!(GroupId::parse(&id.to_string().to_uppercase()), Some(id));
        assert_eq!(id.to_string().as_bytes()[14], b'7');
    }

    #[test]
    fn other_spellings_are_not_ids() {
        for text in ["", "x", "{0190c0de-0000-7000-8000-000000000000}", "0190c0de000070008000000000000000"] {
            assert_eq!(GroupId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn r_a8_an_invite_is_128_random_bits() {
        let ids: Vec<u128> = (0..256).map(|_| u128::from_be_bytes(InviteId::new().0)).collect();
        let (set, clear) = ids.iter().fold((0, 0), |(set, clear), id| (set | id, clear | !id));
        assert_eq!((set, clear), (u128::MAX, u128::MAX), "every bit is sometimes set and sometimes not");
        // Seven leading bytes that two of 256 share would be a clock's, not chance's.
        let fronts: std::collections::HashSet<u128> = ids.iter().map(|id| id >> 72).collect();
        assert_eq!(fronts.len(), ids.len());
        let id = InviteId(ids[0].to_be_bytes());
        assert_eq!(InviteId::parse(&id.to_string()), Some(id));
    }
}
