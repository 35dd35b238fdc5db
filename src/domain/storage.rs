//! How the storage is, and what each write is for: what it is counted under, and whether it adds something.
//!
//! This is the one place that says what a server on a full disk still does. Nothing is written without a
//! [`Purpose`], through whichever door it was asked for, and each has its line in the table below.

/// How the storage is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// All is well.
    Ok,
    /// There is no space: what adds something is refused, all else goes on.
    Full,
    /// It reports errors, or can only be read: nothing is written until it works again.
    Failing,
    /// The database is damaged: nothing is written until somebody has seen to it.
    Damaged,
}

impl Storage {
    /// All of them, from the best to the worst.
    pub const ALL: [Storage; 4] = [Storage::Ok, Storage::Full, Storage::Failing, Storage::Damaged];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Storage::Ok => "ok",
            Storage::Full => "full",
            Storage::Failing => "failing",
            Storage::Damaged => "damaged",
        }
    }

    /// What people are told; nothing while all is well.
    pub fn sentence(self) -> &'static str {
        match self {
            Storage::Ok => "",
            Storage::Full => {
                "The disk is full: nothing new can be stored until there is space again. Reading, deleting and logging in still work."
            }
            Storage::Failing => {
                "The storage does not work: nothing is stored until it does again. Reading goes on as far as it can."
            }
            Storage::Damaged => {
                "The database is damaged: nothing is stored any more, and what is there was left as it is. Whoever runs this server can restore a backup."
            }
        }
    }
}

/// What bytes on the card are counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Entries of the diary, with their events and notifications.
    Entry,
    /// What is said in rooms.
    Message,
    /// Reactions.
    Reaction,
    /// Notices that were sent, read or chosen.
    Notification,
    /// People, their logins, devices and links.
    Account,
    /// Groups, members, invites and places.
    Group,
    /// Pictures.
    Picture,
    /// Copies of the whole.
    Backup,
    /// The database's own: folding its log into the file, and what the server notes for itself.
    Housekeeping,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 9] = [
        Cause::Entry,
        Cause::Message,
        Cause::Reaction,
        Cause::Notification,
        Cause::Account,
        Cause::Group,
        Cause::Picture,
        Cause::Backup,
        Cause::Housekeeping,
    ];

    /// Its name for people and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Entry => "entry",
            Cause::Message => "message",
            Cause::Reaction => "reaction",
            Cause::Notification => "notification",
            Cause::Account => "account",
            Cause::Group => "group",
            Cause::Picture => "picture",
            Cause::Backup => "backup",
            Cause::Housekeeping => "housekeeping",
        }
    }
}

macro_rules! purposes {
    ($($(#[$doc:meta])* $name:ident = $cause:ident, $adds:ident;)*) => {
        /// What a write is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Purpose {
            $($(#[$doc])* $name,)*
        }

        impl Purpose {
            /// All of them.
            pub const ALL: &'static [Purpose] = &[$(Purpose::$name,)*];

            /// What its bytes are counted under.
            pub fn cause(self) -> Cause {
                match self { $(Purpose::$name => Cause::$cause,)* }
            }

            /// Whether it adds something, and so is refused where there is no space.
            pub fn adds(self) -> bool {
                match self { $(Purpose::$name => adds::$adds,)* }
            }
        }
    };
}

/// The two words of the table.
mod adds {
    /// Refused on a full disk.
    pub(super) const ADDS: bool = true;
    /// Carried out on a full disk, too: it frees space, or somebody could not get in or away without it.
    pub(super) const SPARES: bool = false;
}

purposes! {
    /// An entry is logged.
    LogEntry = Entry, ADDS;
    /// An entry is taken back.
    DeleteEntry = Entry, SPARES;
    /// Something is said.
    Say = Message, ADDS;
    /// What was said is said otherwise.
    EditMessage = Message, ADDS;
    /// What was said is deleted.
    DeleteMessage = Message, SPARES;
    /// A reaction is given.
    React = Reaction, ADDS;
    /// A reaction is taken back.
    TakeReactionBack = Reaction, SPARES;
    /// Somebody is notified.
    Notify = Notification, ADDS;
    /// The owners are warned.
    Warn = Notification, SPARES;
    /// Notices are marked as read.
    MarkRead = Notification, SPARES;
    /// Somebody chooses what to be notified of.
    ChooseNotices = Notification, SPARES;
    /// An account is made, by its person or for somebody.
    AddPerson = Account, ADDS;
    /// Somebody logs in. An account that would be made with that is refused.
    LogIn = Account, SPARES;
    /// A login ends.
    LogOut = Account, SPARES;
    /// A login in use is prolonged.
    RenewLogin = Account, SPARES;
    /// Somebody chooses a password.
    ChangePassword = Account, SPARES;
    /// A link to choose a password is made.
    MakeLink = Account, SPARES;
    /// Somebody chooses another name.
    Rename = Account, ADDS;
    /// An account may do more or less than before.
    ChangeStanding = Account, SPARES;
    /// An account is removed.
    RemovePerson = Account, SPARES;
    /// A device is made.
    AddDevice = Account, ADDS;
    /// A device is removed.
    RemoveDevice = Account, SPARES;
    /// How far a device has counted is noted.
    CountDevice = Account, SPARES;
    /// A group is made or changed.
    ChangeGroup = Group, ADDS;
    /// A group ends.
    DeleteGroup = Group, SPARES;
    /// Somebody comes into a group.
    Join = Group, ADDS;
    /// Somebody leaves a group, or has to.
    Leave = Group, SPARES;
    /// A member may do more or less than before.
    SetRole = Group, SPARES;
    /// An invite is made.
    Invite = Group, ADDS;
    /// An invite is revoked.
    RevokeInvite = Group, SPARES;
    /// A place is added.
    AddPlace = Group, ADDS;
    /// Somebody has another picture.
    SetPicture = Picture, ADDS;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is refused on a full disk is listed here a second time, so that nothing becomes so by mistake, nor
    /// stops being so.
    #[test]
    fn what_adds_something() {
        use Purpose::*;
        let adding: Vec<Purpose> = Purpose::ALL.iter().copied().filter(|purpose| purpose.adds()).collect();
        let expected = [
            LogEntry,
            Say,
            EditMessage,
            React,
            Notify,
            AddPerson,
            Rename,
            AddDevice,
            ChangeGroup,
            Join,
            Invite,
            AddPlace,
            SetPicture,
        ];
        assert_eq!(adding, expected);
    }

    #[test]
    fn names_differ() {
        let mut names: Vec<&str> = Cause::ALL.iter().map(|cause| cause.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Cause::ALL.len());
        assert_eq!(Cause::ALL.map(|cause| cause as usize), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
