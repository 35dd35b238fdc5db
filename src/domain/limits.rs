//! Every limit of the server, in one table: what it protects, its unit and its default.
//!
//! `deuced limits` prints this table and `--limit NAME=VALUE` changes a line of it. Nothing that
//! can grow is without a line here.

/// One line of the table, for printing.
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// The name that `--limit` takes.
    pub name: &'static str,
    /// The value unless changed.
    pub default: u64,
    /// Smallest value that makes sense.
    pub min: u64,
    /// Largest value that makes sense.
    pub max: u64,
    /// What the value counts.
    pub unit: &'static str,
    /// What it protects, and what the client sees when it is reached.
    pub meaning: &'static str,
}

macro_rules! limits {
    ($($name:ident = $default:literal, $min:literal ..= $max:literal, $unit:literal, $meaning:literal;)*) => {
        /// The limits in force.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Limits {
            $(#[doc = $meaning] pub $name: u64,)*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $($name: $default,)* }
            }
        }

        impl Limits {
            /// The table, in the order it is shown.
            pub const TABLE: &'static [Line] = &[$(Line {
                name: stringify!($name), default: $default, min: $min, max: $max, unit: $unit, meaning: $meaning,
            },)*];

            /// The value in force of a limit; `None` when there is none of that name.
            pub fn get(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }

            /// The field a name stands for.
            fn field(&mut self, name: &str) -> Option<&mut u64> {
                match name {
                    $(stringify!($name) => Some(&mut self.$name),)*
                    _ => None,
                }
            }
        }
    };
}

limits! {
    // The web door.
    connections = 1024, 1..=100_000, "connections", "open HTTP connections and sockets together; more are answered 503 and closed";
    connections_per_address = 512, 1..=100_000, "connections", "open connections of one address; more are answered 503 and closed";
    head_bytes = 16_384, 1024..=1_048_576, "bytes", "a request's first line and headers; 431";
    headers = 100, 8..=1000, "headers", "headers of a request; 431";
    target_bytes = 8192, 256..=65_536, "bytes", "the address part of a request; 414";
    body_bytes = 65_536, 1024..=67_108_864, "bytes", "a request's body, pictures aside; 413";
    pending_bytes = 16_777_216, 65_536..=4_294_967_296, "bytes", "what has come of unfinished requests in all, pictures aside, and half of it from one address; 503";
    head_seconds = 30, 1..=3600, "seconds", "time for a whole request head; 408";
    body_seconds = 60, 1..=3600, "seconds", "time for a body without progress; 408";
    body_bytes_per_second = 256, 0..=1_048_576, "bytes/s", "least rate of a body, after body_seconds; 408";
    idle_seconds = 75, 1..=86_400, "seconds", "an idle connection is closed";
    write_seconds = 60, 1..=3600, "seconds", "an answer that nobody takes is dropped with its connection";

    // Pace. Zero requests per minute would lock everyone out, so one is the least.
    api_requests_per_minute = 3000, 1..=1_000_000_000, "requests/min", "API requests of one person or device; 429";
    address_requests_per_minute = 6000, 1..=1_000_000_000, "requests/min", "requests of one address without a login, pages included; 429";
    logins_per_minute = 30, 1..=1_000_000_000, "logins/min", "logins from one address; 429";
    login_failures = 5, 1..=1_000_000_000, "tries", "wrong passwords for one name from one address before each further try has to wait: 1 s, 2 s, 4 s and so on; 429";
    login_failures_per_address = 20, 1..=1_000_000_000, "tries", "wrong passwords from one address, whatever the name, before each further try has to wait, 4 s at most; 429";
    login_failures_per_name = 50, 1..=1_000_000_000, "tries", "wrong passwords for one name from all addresses, before one from which nobody logged in to it has to wait 3 s; 429";
    login_wait_seconds = 900, 1..=86_400, "seconds", "the longest wait after wrong passwords";
    claim_failures_per_minute = 10, 1..=1_000_000_000, "tries/min", "wrong claim secrets from one address; 429";
    deuces_per_minute = 60, 1..=1_000_000_000, "entries/min", "entries logged by one person; 429";
    deuces_per_day = 0, 0..=1_000_000, "entries/day", "entries of one person in a UTC day, one for each group, 0 for any number; 429";
    groups_per_minute = 10, 1..=1_000_000_000, "groups/min", "groups, invites, accounts and links made by one person; 429";
    joins_per_minute = 30, 1..=1_000_000_000, "tries/min", "tries to join by invite, or to look at one, by one person or from one address; 429";
    reactions_per_minute = 120, 1..=1_000_000_000, "reactions/min", "reactions given or taken back by one person; 429";
    messages_per_minute = 600, 1..=1_000_000_000, "messages/min", "chat messages said, changed or deleted by one person over HTTP; 429";
    notifications_per_minute = 120, 1..=1_000_000_000, "notices/min", "notifications sent by one person; 429";
    pictures_per_minute = 10, 1..=1_000_000_000, "pictures/min", "pictures uploaded by one person; 429";

    // What people write.
    login_name_characters = 50, 1..=200, "characters", "the name at login; 400";
    password_bytes = 1024, 64..=65_536, "bytes", "a password; 400";
    group_name_characters = 100, 1..=1000, "characters", "a group's name; 400";
    description_characters = 500, 0..=10_000, "characters", "a group's description; 400";
    thoughts_characters = 1000, 0..=100_000, "characters", "an entry's thoughts; 400";
    location_characters = 100, 1..=1000, "characters", "a place's name; 400";
    emoji_characters = 10, 1..=100, "code points", "a reaction; 400";
    device_name_characters = 60, 1..=200, "characters", "a device's name; 400";
    message_bytes = 1_048_576, 1024..=16_777_216, "bytes", "a chat page's message, where the contract knows no length; passed over";
    notification_bytes = 4096, 64..=65_536, "bytes", "the data of a notification; 400";
    picture_bytes = 5_242_880, 1024..=67_108_864, "bytes", "an uploaded picture; 413";
    picture_pixels = 25_000_000, 10_000..=200_000_000, "pixels", "an uploaded picture, read from its header before decoding; 400";

    // How much there may be of it.
    users = 1000, 1..=1_000_000, "people", "accounts on this server; 403";
    groups_per_user = 100, 1..=10_000, "groups", "groups of one person; 400";
    members_per_group = 200, 1..=10_000, "people", "members of one group; 400";
    groups_per_entry = 50, 1..=1000, "groups", "groups named in one post; 400";
    invites_per_group = 100, 1..=10_000, "invites", "open invites of one group; 400";
    locations_per_user = 200, 1..=10_000, "places", "places added by one person; 400";
    reactions_per_entry = 200, 1..=100_000, "reactions", "reactions to one entry; 400";
    sessions_per_user = 100, 1..=10_000, "logins", "logins of one person; the oldest ends";
    devices_per_user = 50, 0..=10_000, "devices", "devices of one person; 403";
    idempotency_keys_per_user = 10_000, 100..=1_000_000, "keys", "remembered keys of one person; the oldest is forgotten";
    events_per_room = 100_000, 100..=100_000_000, "events", "events kept for catching up; older ones are trimmed";
    notifications_per_user = 1000, 10..=1_000_000, "events", "notifications and read marks kept of one person; older ones are trimmed";
    rooms = 1000, 1..=1_000_000, "rooms", "rooms by name with something in their log; 403, error LIMIT";
    people_present = 200, 1..=10_000, "people", "people of a room of whom it is told who comes and goes; where there are more, it is not told";
    page_messages = 100, 1..=1000, "messages", "messages, or notifications, of one page";
    page_entries = 100, 1..=1000, "entries", "entries of one page where paging was asked for";

    // How long.
    session_days = 30, 1..=3650, "days", "a login that is not used ends";
    link_hours = 24, 1..=8760, "hours", "a link to choose a password ends";
    invite_days = 7, 1..=3650, "days", "an invite ends";
    idempotency_hours = 24, 1..=8760, "hours", "a repeat under the same key gets the first answer";

    // Sockets.
    sockets = 512, 1..=100_000, "sockets", "open sockets; 503";
    anonymous_sockets = 128, 0..=100_000, "sockets", "open sockets without a login; 503";
    sockets_per_user = 128, 1..=100_000, "sockets", "open sockets of one person; 503, or close 1013 after auth";
    registered_sockets = 10_000, 1..=1_000_000, "sockets", "sockets that sent register (SOCKET_MAX_TOTAL_CONNECTIONS); error and close 1000";
    registered_sockets_per_user = 5, 1..=100_000, "sockets", "sockets registered for one person (SOCKET_MAX_CONNECTIONS_PER_USER); error and close 1000";
    subscriptions_per_socket = 256, 1..=100_000, "rooms", "rooms one socket listens to; error LIMIT, or silence";
    frame_bytes = 1_048_576, 1024..=16_777_216, "bytes", "one message from a client; close 1009";
    anonymous_frame_bytes = 65_536, 1024..=16_777_216, "bytes", "one message from a client without a login; close 1009";
    commands_per_second = 20, 1..=1_000_000_000, "frames/s", "texts of one socket on average, join_group and leave_group aside; more are dropped, and after 5 s close 1008";
    commands_burst = 40, 1..=1_000_000_000, "frames", "texts of one socket at once";
    commands_waiting = 64, 1..=100_000, "commands", "messages of one socket on their way to the disk; more are not read for a moment";
    frames_per_second = 100, 1..=1_000_000_000, "frames/s", "frames of one socket on average; more are not read for a moment";
    frames_burst = 1000, 1..=1_000_000_000, "frames", "frames of one socket at once";
    outbox_bytes = 1_048_576, 16_384..=67_108_864, "bytes", "answers waiting for one socket; close 1013";
    send_buffer_bytes = 65_536, 4096..=4_194_304, "bytes", "the kernel's send buffer of one socket";
    ping_every_seconds = 30, 1..=3600, "seconds", "a socket silent since the last ping is gone";
    replay_events = 200, 1..=10_000, "events", "events read from the log at a time for a socket that fell behind";

    // The machine room.
    check_milliseconds = 1000, 0..=3_600_000, "ms", "how long a start looks for damage in the database; 0 for not at all";
    reserve_bytes = 4_194_304, 0..=1_073_741_824, "bytes", "space kept back (the file reserve) and given free on a full disk, so that logging in and deleting still work; 0 for none";
    free_bytes = 1_048_576, 0..=1_099_511_627_776, "bytes", "free space on the disk, below which nothing new is stored; 507";
    store_queue = 4096, 16..=1_000_000, "writes", "writes waiting for the disk; 503";
    waiting_logins = 32, 1..=10_000, "logins", "passwords waiting to be checked; 503";
    waiting_jobs = 32, 1..=10_000, "jobs", "pictures waiting for a worker; 503";
    waiting_reads = 512, 1..=10_000, "reads", "files, feeds, exports and long lists waiting for a worker; 503";
    uploads = 4, 1..=1000, "uploads", "pictures being received at the same time, of one person at most half; 503";
}

impl Limits {
    /// Sets one limit from its command line form `NAME=VALUE`.
    ///
    /// # Errors
    /// A sentence that names what is wrong.
    pub fn set(&mut self, assignment: &str) -> Result<(), String> {
        let (name, value) = assignment
            .split_once('=')
            .ok_or_else(|| format!("'{assignment}': a limit is set as NAME=VALUE"))?;
        let name = name.trim().replace('-', "_");
        let Some(line) = Limits::TABLE.iter().find(|line| line.name == name) else {
            return Err(format!("'{name}' is not a limit; 'deuced limits' lists them"));
        };
        match value.trim().parse::<u64>() {
            Ok(number) if (line.min..=line.max).contains(&number) => {
                *self.field(line.name).expect("the table and the fields are one list") = number;
                Ok(())
            }
            _ => Err(format!("{name}: a number from {} to {} ({})", line.min, line.max, line.unit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_can_be_set_and_has_a_sensible_default() {
        let mut limits = Limits::default();
        for line in Limits::TABLE {
            assert!((line.min..=line.max).contains(&line.default), "{}", line.name);
            limits.set(&format!("{}={}", line.name, line.max)).unwrap();
        }
        assert_eq!(limits.sockets, 100_000);
    }

    #[test]
    fn bad_values_are_named() {
        let mut limits = Limits::default();
        for (assignment, sentence) in [
            ("sockets", "'sockets': a limit is set as NAME=VALUE"),
            ("teapots=1", "'teapots' is not a limit; 'deuced limits' lists them"),
            ("sockets=0", "sockets: a number from 1 to 100000 (sockets)"),
            ("sockets=many", "sockets: a number from 1 to 100000 (sockets)"),
            ("sockets=-1", "sockets: a number from 1 to 100000 (sockets)"),
        ] {
            assert_eq!(limits.set(assignment).unwrap_err(), sentence);
        }
        assert_eq!(limits, Limits::default());
    }
}
