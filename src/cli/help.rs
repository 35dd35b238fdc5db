//! What `--help` says.

use crate::domain::Limits;
use std::fmt::Write;

/// `deuced --help`.
pub const MAIN: &str = "\
deuced - the server of a household's private group diary

Usage: deuced COMMAND [OPTIONS]

Commands:
  serve           serve the diary until SIGTERM or Ctrl-C
  claim           show the link by which a fresh server gets its owner
  user add NAME   make an account; user list, reset, disable, enable, remove,
                  child and owner look after accounts, also while it runs
  invite GROUP    make a link into a group, with a code for phones
  token add NAME  make a login for a program or a gadget; token list, remove: see
                  its devices, and end one; also while the server runs
  backup [DIR]    copy the diary into one verified file, also while it is served
  limits          list every limit with its value, unit and meaning

Options:
  -h, --help      this text; 'deuced COMMAND --help' says more
  -V, --version   the version

To try it on a trusted network, without passwords:
  deuced serve --open
To run it with accounts:
  deuced serve
and open the link that it prints, to become its owner.
";

/// `deuced serve --help`.
pub const SERVE: &str = "\
Serves the diary: the HTTP API under /api, live events under /ws, and a page at /.

Usage: deuced serve [OPTIONS]

Options (each also as an environment variable; a word here wins over it):
  --listen ADDR:PORT      where to listen; default every interface, port 8222.
                          Port 0 takes a free one.                 [DEUCED_LISTEN]
  --data DIR              the data directory; default $STATE_DIRECTORY, else
                          $XDG_DATA_HOME/deuced, else
                          ~/.local/share/deuced.                   [DEUCED_DATA]
  --web DIR               serve this built single-page app instead of the
                          built-in page.                           [DEUCED_WEB]
  --open                  trust the network: a name alone logs in and makes the
                          account. Anybody who can reach the port can be
                          anybody.                                 [DEUCED_OPEN=1]
  --guests yes|no         whether whoever has no login may talk in rooms that
                          belong to no group; default no, but yes with --open.
                                                                   [DEUCED_GUESTS]
  --origin URL            pages of this origin may use the server, too; may be
                          repeated.                                [DEUCED_ORIGIN]
  --host NAME             a name this server is reached by, beside addresses,
                          localhost, single words, names such as pi.local and
                          those of --origin; may be repeated. Requests under
                          any other name are answered 421.         [DEUCED_HOST]
  --trusted-proxy ADDR    believe this proxy's Forwarded or X-Forwarded-For,
                          -Proto and -Host; an address or ADDR/BITS; may be
                          repeated.                                [DEUCED_TRUSTED_PROXY]
  --backup-warn-hours N   tell the owners when the newest verified backup is
                          older; default 72, 0 is never.           [DEUCED_BACKUP_WARN_HOURS]
  --limit NAME=VALUE      change a limit ('deuced limits' lists them); may be
                          repeated.                                [DEUCED_LIMIT]
  -h, --help              this text

SOCKET_MAX_TOTAL_CONNECTIONS and SOCKET_MAX_CONNECTIONS_PER_USER set the limits
registered_sockets and registered_sockets_per_user.

Lists in the environment are separated by blanks. The data directory belongs to
one server at a time: deuced.db is the diary, pictures/ the profile pictures,
address says where the running server listens. On the first start without --open
a link is printed by which the server gets its owner; 'deuced claim' shows it
again. Until then it answers nothing else.

SIGTERM and SIGINT stop the server: no new requests, those under way are
finished, sockets are closed with 1001, and everything is on the disk.
";

/// `deuced claim --help`.
pub const CLAIM: &str = "\
Shows the link by which a fresh server gets its owner, and its code for phones.
Works while the server runs, and says so when the server has its owner already.

Usage: deuced claim [OPTIONS]

Options:
  --data DIR   the server's data directory (see 'deuced serve --help')
  -h, --help   this text

Until somebody has opened the link and chosen a name and password there, the
server does nothing else. The link's secret is in the file 'claim' of the data
directory. 'deuced user add NAME --admin' makes an owner without the link.
";

/// `deuced invite --help`.
pub const INVITE: &str = "\
Makes a link into a group and shows it, with its code for phones. Whoever opens
it chooses a name and password, or logs in, and is in the group. Works while
the server runs.

Usage: deuced invite GROUP --as NAME [OPTIONS]

GROUP is the name or the id of a group that NAME is in.

Options:
  --as NAME    who invites
  --uses N     how many may join by it; any number unless said
  --data DIR   the server's data directory (see 'deuced serve --help')
  -h, --help   this text

The link is good for as many days as the limit invite_days says.
";

/// `deuced user --help`.
pub const USER: &str = "\
Makes accounts and looks after them. Works while the server runs, which takes
notice at once.

Usage: deuced user COMMAND [OPTIONS]

Commands:
  add NAME             make an account, and ask for its password
      --admin            its person owns the server
      --child            it is a child's
      --password-stdin   read the password from standard input
  list                 all accounts: role, state, entries, last login, groups
  reset NAME           print a link with which NAME chooses a new password; it
                       works once, within a day
  disable NAME         log NAME out everywhere, and let them in no more; what
                       they wrote stays
  enable NAME          let them in again
  remove NAME [--yes]  delete the account, as NAME could; asks unless --yes
  child NAME yes|no    a child sees, logs and talks in its groups, and nothing
                       beyond them: it cannot invite, join, make or run groups
  owner NAME yes|no    an owner may do over the network what these commands do

Options:
  --data DIR         the server's data directory (see 'deuced serve --help')
  -h, --help         this text

An account without a password gets one from 'user add' with its name. A
password has at least 8 characters. Names that differ only in case or
punctuation are the same account. The last owner stays one.
";

/// `deuced token --help`.
pub const TOKEN: &str = "\
Makes logins for programs and gadgets, and ends them. Works while the server
runs.

Usage: deuced token add NAME [--notify]
       deuced token add NAME --device DEVICE --group GROUP... --verb VERB...
       deuced token list NAME
       deuced token remove NAME DEVICE

NAME is somebody who has an account; the program or gadget acts as that person.
Tokens are printed this once, and are sent as 'Authorization: Bearer TOKEN'.

Options:
  --device DEVICE    a name for a gadget, such as 'Bathroom button': it may do
                     what its verbs say in its groups, and nothing else
  --group GROUP      a group of that person, by name or id; may be repeated
  --verb VERB        log, read, chat or notify; may be repeated
  --notify           a full login that may also notify others
  --data DIR         the server's data directory (see 'deuced serve --help')
  -h, --help         this text

A device lasts until it is removed; its key is for requests that are signed
instead of carrying the token (docs/devices.md). A full login that is not used
for as long as a login lasts ends.
";

/// `deuced backup --help`.
pub const BACKUP: &str = "\
Copies the whole diary, pictures included, into one file, and verifies it: whole,
readable by this program, with every row and picture of the original. The copy holds
everything that was answered before it began. Works while the server runs.

Usage: deuced backup [DIR] [OPTIONS]

DIR is where the file goes; default backups/ in the data directory, or
DEUCED_BACKUP_FOLDER.

Options:
  --keep N           so many stay there, the oldest of this diary go; default 7
                     (DEUCED_BACKUP_KEEP)
  --list             lists the copies there and those made before upgrades
  --data DIR         the server's data directory (see 'deuced serve --help')
  -h, --help         this text

The file is a SQLite database named after the time it was made. A copy on another
disk is worth more than one on the same. The server tells its owners when the newest
verified copy is older than 72 hours (DEUCED_BACKUP_WARN_HOURS, 0 is never).
";

/// `deuced limits --help`.
pub const LIMITS: &str = "\
Lists every limit of the server: its name, its value, its unit, and what happens
when it is reached.

Usage: deuced limits

Values are shown as DEUCED_LIMIT in the environment changes them.
Change one with 'deuced serve --limit NAME=VALUE'.
";

/// The table of limits.
pub fn limits(limits: &Limits) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str, default: &str, unit: &str, meaning: &str| {
        let _ = writeln!(text, "{name:<26} {value:>12} {default:>12}  {unit:<13} {meaning}");
    };
    row("NAME", "VALUE", "DEFAULT", "UNIT", "MEANING");
    for line in Limits::TABLE {
        let value = limits.get(line.name).unwrap_or(line.default);
        row(line.name, &value.to_string(), &line.default.to_string(), line.unit, line.meaning);
    }
    text
}
