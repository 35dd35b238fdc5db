//! Power cuts: what a server does to its files is written down (cut.c), and from that the states are built that the
//! card could be in after the power has gone at some moment.
//!
//! The card keeps what was synced, and nothing else for certain. What a file was given since its last sync is there,
//! or not, or in part: by sectors of 512 bytes, in any order, and a sector may hold anything where the power went
//! while it was written. Its length is one of those it had. That a file was made, renamed or removed is there when its
//! folder was synced afterwards; before that it is, or is not, in the order it happened or in any other.

use super::server::{Directory, Setup};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::Write,
    ops::Range,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

/// The unit that a card writes at once.
const SECTOR: usize = 512;

/// The bytes before each line of the record: `struct line` in cut.c.
const HEAD: usize = 32;

/// Chance from a seed (splitmix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(count).collect()
    }
}

/// A running record of one data directory.
pub struct Recorder {
    root: PathBuf,
    place: Directory,
    before: Folder,
    marks: AtomicU64,
}

impl Recorder {
    /// Begins with the folder as it is. What is in it counts as synced.
    pub fn begin(root: &Path) -> Recorder {
        let place = Directory::new();
        File::create(place.0.join("record")).unwrap();
        Recorder { root: root.to_owned(), place, before: Folder::of(root), marks: AtomicU64::new(0) }
    }

    /// A server, or a command, on this card.
    pub fn under(&self, setup: Setup) -> Setup {
        self.environment().into_iter().fold(setup, |setup, (name, value)| setup.env(name, &value))
    }

    /// The variables for it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            ("LD_PRELOAD", text(super::fault::library("cut"))),
            ("CUT_ROOT", text(&self.root)),
            ("CUT_LOG", text(&self.log())),
            // Long enough for an answer that does not wait for it to come first.
            ("CUT_SYNC_MICROS", "300".to_owned()),
        ]
    }

    fn log(&self) -> PathBuf {
        self.place.0.join("record")
    }

    /// Something is known from here on. Its number, for [`Recording::position`].
    pub fn mark(&self) -> u64 {
        let number = self.marks.fetch_add(1, Ordering::Relaxed);
        let mut line = [0; HEAD];
        line[0] = b'K';
        line[16..24].copy_from_slice(&number.to_le_bytes());
        // One call: the record's other writers are between lines.
        let mut file = File::options().append(true).open(self.log()).unwrap();
        file.write_all(&line).unwrap();
        number
    }

    /// Ends the record, when nobody writes any more.
    pub fn end(self) -> Recording {
        let raw = fs::read(self.log()).unwrap();
        let (mut lines, mut marks, mut at) = (Vec::new(), HashMap::new(), 0);
        while at < raw.len() {
            let number = |from: usize| u64::from_le_bytes(raw[at + from..at + from + 8].try_into().unwrap());
            let path = u32::from_le_bytes(raw[at + 4..at + 8].try_into().unwrap()) as usize;
            let bytes = at + HEAD + path..at + HEAD + path + number(24) as usize;
            let path = String::from_utf8(raw[at + HEAD..at + HEAD + path].to_vec()).unwrap();
            let line = Line { kind: raw[at], path, file: number(8), at: number(16), bytes: bytes.clone() };
            if line.kind == b'K' {
                marks.insert(line.at, lines.len());
            }
            lines.push(line);
            at = bytes.end;
        }
        let recording = Recording { before: self.before, raw, lines, marks };
        recording.is_whole(&Folder::of(&self.root));
        recording
    }
}

/// What is in a folder, by path below it; `None` is a folder.
#[derive(Clone, PartialEq)]
struct Folder(BTreeMap<String, Option<(u64, Vec<u8>)>>);

impl Folder {
    fn of(root: &Path) -> Folder {
        let (mut found, mut open) = (BTreeMap::new(), vec![root.to_owned()]);
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    open.push(path);
                    found.insert(name, None);
                } else if !name.ends_with("-shm") {
                    found.insert(name, Some((path.metadata().unwrap().ino(), fs::read(&path).unwrap())));
                }
            }
        }
        Folder(found)
    }
}

struct Line {
    kind: u8,
    path: String,
    file: u64,
    at: u64,
    bytes: Range<usize>,
}

/// Everything that happened, in order. A moment is a number of lines that had happened.
pub struct Recording {
    before: Folder,
    raw: Vec<u8>,
    lines: Vec<Line>,
    marks: HashMap<u64, usize>,
}

impl Recording {
    /// How many lines there are: the last moment.
    pub fn moments(&self) -> usize {
        self.lines.len()
    }

    /// The line of a mark. What was marked is known from the moment after it.
    pub fn position(&self, mark: u64) -> usize {
        self.marks[&mark]
    }

    /// The sync before the last one before this line: what was written after it was not on the card when the line was
    /// about to be.
    pub fn before_last_sync(&self, line: usize) -> usize {
        let mut syncs = (0..line).rev().filter(|line| self.lines[*line].kind == b'S');
        syncs.next();
        syncs.next().unwrap_or(0)
    }

    /// How many syncs there were, of files and folders.
    pub fn syncs(&self) -> usize {
        self.lines.iter().filter(|line| matches!(line.kind, b'S' | b'Y')).count()
    }

    /// How many writes there were.
    pub fn writes(&self) -> usize {
        self.lines.iter().filter(|line| line.kind == b'W').count()
    }

    /// Where each word was first sent out: runs of eight or more letters, digits and hyphens.
    pub fn sent(&self) -> HashMap<&str, usize> {
        let mut found = HashMap::new();
        for (position, line) in self.lines.iter().enumerate().filter(|(_, line)| line.kind == b'O') {
            let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
            for word in self.raw[line.bytes.clone()].split(|byte| !is_word(byte)) {
                if word.len() >= 8 {
                    found.entry(std::str::from_utf8(word).unwrap()).or_insert(position);
                }
            }
        }
        found
    }

    /// The card before anything happened.
    pub fn card(&self) -> Card<'_> {
        let mut card = Card::empty(self);
        for (name, node) in &self.before.0 {
            let node = match node {
                None => Node::Folder,
                Some((number, bytes)) => {
                    card.numbers.insert(*number, card.files.len());
                    card.files.push(Content { synced: bytes.clone(), since: Vec::new() });
                    Node::File(card.files.len() - 1)
                }
            };
            card.synced.insert(name.clone(), node);
        }
        card.now = card.synced.clone();
        card
    }

    /// Checks that the record tells all that was done: carried out, it must lead to what is really there. A call
    /// that the library does not know would make the proof worthless.
    fn is_whole(&self, after: &Folder) {
        let mut card = self.card();
        card.go_to(self.lines.len());
        let told: Vec<&String> = card.now.keys().collect();
        let there: Vec<&String> = after.0.keys().collect();
        assert_eq!(told, there, "the record names other files than there are");
        for (name, node) in &card.now {
            if let (Node::File(file), Some((_, bytes))) = (node, &after.0[name]) {
                let replayed = card.files[*file].whole(self);
                let differs = replayed.iter().zip(bytes).position(|(a, b)| a != b);
                assert!(
                    replayed == *bytes,
                    "{name}: not what the record tells ({} and {} bytes, different from {differs:?})",
                    replayed.len(),
                    bytes.len()
                );
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Node {
    Folder,
    File(usize),
}

type Names = BTreeMap<String, Node>;

/// What a folder was told.
#[derive(Clone)]
enum Naming {
    Add(String, Node),
    Remove(String),
    Rename(String, String, Node),
}

impl Naming {
    fn concerns(&self, folder: &str) -> bool {
        let within = |name: &str| name.rsplit_once('/').map_or("", |(folder, _)| folder) == folder;
        match self {
            Naming::Add(name, _) | Naming::Remove(name) => within(name),
            Naming::Rename(from, to, _) => within(from) || within(to),
        }
    }

    fn happen(&self, names: &mut Names) {
        match self {
            Naming::Add(name, node) => {
                names.insert(name.clone(), *node);
            }
            Naming::Remove(name) => {
                names.remove(name);
            }
            Naming::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
                if *node == Node::Folder {
                    let begin = format!("{from}/");
                    let inside: Vec<String> =
                        names.keys().filter(|name| name.starts_with(&begin)).cloned().collect();
                    for name in inside {
                        let node = names.remove(&name).unwrap();
                        names.insert(format!("{to}/{}", &name[begin.len()..]), node);
                    }
                }
            }
        }
    }
}

/// What a file was told.
#[derive(Clone)]
enum Change {
    Write(usize, Range<usize>),
    Length(usize),
    /// Space was set aside up to here.
    Reach(usize),
}

#[derive(Clone, Default)]
struct Content {
    synced: Vec<u8>,
    since: Vec<Change>,
}

impl Content {
    fn apply(change: &Change, recording: &Recording, bytes: &mut Vec<u8>) {
        match change {
            Change::Write(at, range) => {
                if bytes.len() < at + range.len() {
                    bytes.resize(at + range.len(), 0);
                }
                bytes[*at..at + range.len()].copy_from_slice(&recording.raw[range.clone()]);
            }
            Change::Length(length) => bytes.resize(*length, 0),
            Change::Reach(length) => bytes.resize(bytes.len().max(*length), 0),
        }
    }

    fn whole(&self, recording: &Recording) -> Vec<u8> {
        let mut bytes = self.synced.clone();
        self.since.iter().for_each(|change| Content::apply(change, recording, &mut bytes));
        bytes
    }

    fn sync(&mut self, recording: &Recording) {
        for change in self.since.drain(..) {
            Content::apply(&change, recording, &mut self.synced);
        }
    }
}

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Luck {
    /// Nothing of it is there.
    None,
    /// All of it is there.
    All,
    /// So much of it as had been written in order, the last write torn.
    Ordered,
    /// Any part of it, by sectors.
    Any,
    /// As before, and what is not there may have become anything.
    Garbled,
}

impl Luck {
    pub fn draw(dice: &mut Dice) -> Luck {
        match dice.below(10) {
            0 => Luck::None,
            1 => Luck::All,
            2 | 3 => Luck::Ordered,
            4..=7 => Luck::Any,
            _ => Luck::Garbled,
        }
    }
}

/// What a card only pretends to keep.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lie {
    None,
    All,
    /// The database's log: the same as a server that does not ask for it.
    Log,
    /// What is in which folder.
    Folders,
}

/// The card at some moment: what it holds for certain, and what it was told since.
pub struct Card<'a> {
    recording: &'a Recording,
    moment: usize,
    files: Vec<Content>,
    numbers: HashMap<u64, usize>,
    synced: Names,
    namings: Vec<Naming>,
    now: Names,
    /// What it says it has kept, and has not.
    pub lie: Lie,
}

impl<'a> Card<'a> {
    fn empty(recording: &'a Recording) -> Card<'a> {
        Card {
            recording,
            moment: 0,
            files: Vec::new(),
            numbers: HashMap::new(),
            synced: Names::new(),
            namings: Vec::new(),
            now: Names::new(),
            lie: Lie::None,
        }
    }

    /// Goes on to a later moment.
    pub fn go_to(&mut self, moment: usize) {
        let recording = self.recording;
        for line in &recording.lines[self.moment..moment] {
            self.happen(line);
        }
        self.moment = self.moment.max(moment);
    }

    fn happen(&mut self, line: &Line) {
        let (at, path) = (line.at as usize, &line.path);
        match line.kind {
            b'C' => {
                // A number that was used before is another file now.
                self.numbers.insert(line.file, self.files.len());
                self.files.push(Content::default());
                self.name(Naming::Add(path.clone(), Node::File(self.files.len() - 1)));
            }
            b'N' => {
                let file = self.numbers[&line.file];
                self.name(Naming::Add(path.clone(), Node::File(file)));
            }
            b'M' => self.name(Naming::Add(path.clone(), Node::Folder)),
            b'U' => self.name(Naming::Remove(path.clone())),
            b'R' => {
                let (from, to) = path.split_once('\0').unwrap();
                assert_eq!(line.file, 0, "a rename with flags: {from} to {to}");
                let node = self.now[from];
                self.name(Naming::Rename(from.into(), to.into(), node));
            }
            b'W' => self.change(line, Change::Write(at, line.bytes.clone())),
            b'T' => self.change(line, Change::Length(at)),
            b'A' => self.change(line, Change::Reach(at)),
            b'S' => {
                let file = self.numbers[&line.file];
                let is_log = || self.now.get("deuced.db-wal") == Some(&Node::File(file));
                if self.lie != Lie::All && !(self.lie == Lie::Log && is_log()) {
                    self.files[file].sync(self.recording);
                }
            }
            b'Y' if self.lie != Lie::All && self.lie != Lie::Folders => {
                let namings = std::mem::take(&mut self.namings);
                for naming in namings {
                    match naming.concerns(path) {
                        true => naming.happen(&mut self.synced),
                        false => self.namings.push(naming),
                    }
                }
            }
            b'Y' | b'O' | b'K' => {}
            other => panic!("a line that nobody expects: {:?} {path}", other as char),
        }
    }

    fn name(&mut self, naming: Naming) {
        naming.happen(&mut self.now);
        self.namings.push(naming);
    }

    fn change(&mut self, line: &Line, change: Change) {
        let file = self.numbers[&line.file];
        self.files[file].since.push(change);
    }

    /// Whether the power could take away something of the database or of its log.
    pub fn is_writing(&self) -> bool {
        let mut names = self.now.iter().filter(|(name, _)| name.starts_with("deuced.db"));
        names.any(|(_, node)| matches!(node, Node::File(file) if !self.files[*file].since.is_empty()))
    }

    /// Writes one of the states that the power cut could leave into an empty folder.
    pub fn cut(&self, luck: Luck, dice: &mut Dice, root: &Path) {
        let mut names = self.synced.clone();
        let ordered = dice.coin();
        let last = dice.below(self.namings.len() + 1);
        for (number, naming) in self.namings.iter().enumerate() {
            let happens = match luck {
                Luck::None => false,
                Luck::All => true,
                Luck::Ordered => number < last,
                // Most file systems keep the order of these; nothing says that they must.
                _ if ordered => number < last,
                _ => dice.coin(),
            };
            if happens {
                naming.happen(&mut names);
            }
        }
        for (name, node) in &names {
            let path = root.join(name);
            match node {
                // What lies in a folder that is not there is not there.
                _ if !path.parent().is_some_and(Path::is_dir) => {}
                Node::Folder => fs::create_dir(&path).unwrap(),
                Node::File(file) => {
                    fs::write(&path, self.torn(&self.files[*file], luck, dice)).unwrap();
                }
            }
        }
        // The database's index of its log is memory. Whatever lies there afterwards must not be believed.
        if names.contains_key("deuced.db-wal") && dice.below(4) == 0 {
            fs::write(root.join("deuced.db-shm"), dice.bytes(32 << 10)).unwrap();
        }
    }

    fn torn(&self, file: &Content, luck: Luck, dice: &mut Dice) -> Vec<u8> {
        let mut bytes = file.synced.clone();
        let mut apply = |change: &Change| Content::apply(change, self.recording, &mut bytes);
        match luck {
            Luck::None => {}
            Luck::All => file.since.iter().for_each(apply),
            Luck::Ordered => {
                let last = dice.below(file.since.len() + 1);
                file.since[..last].iter().for_each(&mut apply);
                if let Some(Change::Write(at, range)) = file.since.get(last) {
                    let sectors = dice.below(range.len().div_ceil(SECTOR) + 1);
                    let end = (range.start + sectors * SECTOR).min(range.end);
                    if end > range.start {
                        apply(&Change::Write(*at, range.start..end));
                    }
                }
            }
            Luck::Any | Luck::Garbled => self.scattered(file, luck, dice, &mut bytes),
        }
        bytes
    }

    fn scattered(&self, file: &Content, luck: Luck, dice: &mut Dice, bytes: &mut Vec<u8>) {
        // From hardly anything to nearly everything.
        let share = dice.below(9) + 1;
        let mut longest = bytes.len();
        for change in &file.since {
            let Change::Write(at, range) = change else {
                if dice.below(10) < share {
                    Content::apply(change, self.recording, bytes);
                }
                continue;
            };
            longest = longest.max(at + range.len());
            let mut begin = *at;
            while begin < at + range.len() {
                let end = ((begin / SECTOR + 1) * SECTOR).min(at + range.len());
                let piece = range.start + (begin - at)..range.start + (end - at);
                if dice.below(10) < share {
                    Content::apply(&Change::Write(begin, piece), self.recording, bytes);
                } else if luck == Luck::Garbled && dice.below(4) == 0 {
                    bytes.resize(bytes.len().max(end), 0);
                    bytes[begin..end].copy_from_slice(&dice.bytes(end - begin));
                }
                begin = end;
            }
        }
        // The length may be on the card before the bytes are.
        if !file.since.is_empty() && dice.below(4) == 0 {
            bytes.resize(bytes.len().max(longest), 0);
        }
    }
}
