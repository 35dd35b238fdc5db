//! Completions for bash, zsh and fish, from the same tables as `--help`.

use super::commands::{COMMANDS, FAMILIES, members};
use super::config::table::Kind;
use super::print;
use super::words::{Asked, Entry, Job};
use crate::domain::Limits;
use std::fmt::Write;

/// The shells.
const SHELLS: [Named; 3] = [("bash", bash), ("zsh", zsh), ("fish", fish)];

/// The name of a shell, and what makes its completions.
type Named = (&'static str, fn() -> String);

/// `deuced completions`.
pub const ENTRY: Entry = Entry {
    name: "completions",
    arguments: &["bash|zsh|fish"],
    brief: "print what completes this program's words in a shell",
    about: "Prints what completes the words of this program in bash, zsh or fish.",
    options: &[],
    settings: &[],
    notes: "In bash for now: source <(deuced completions bash). For good: \
            /usr/share/bash-completion/completions/deuced, /usr/share/zsh/vendor-completions/_deuced or \
            /usr/share/fish/vendor_completions.d/deuced.fish.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    let name = asked.argument(0).unwrap_or_default();
    let shell = SHELLS.iter().find(|(known, _)| *known == name);
    let (_, script) = shell.ok_or("completions: for which shell? Say bash, zsh or fish")?;
    Ok(Box::new(move || print(&script())))
}

/// What may stand somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// An option without a value.
    None,
    /// Nobody knows what.
    Any,
    Folder,
    File,
    /// One of these.
    Words(Vec<String>),
    /// One of these, and what follows an equals sign.
    Assignment(Vec<String>),
}

/// An option of a command, as shells see it.
struct Word {
    name: String,
    value: Value,
    /// What stands for its value.
    shown: &'static str,
    help: String,
    again: bool,
}

/// What a placeholder stands for.
fn placeholder(text: &str) -> Value {
    match text.trim_matches(['[', ']']) {
        "" => Value::None,
        "DIR" => Value::Folder,
        "FILE" => Value::File,
        "NAME=VALUE" => Value::Assignment(Limits::TABLE.iter().map(|line| line.name.to_owned()).collect()),
        words if words.contains('|') => Value::Words(words.split('|').map(str::to_owned).collect()),
        _ => Value::Any,
    }
}

/// All options of a command.
fn options(entry: &Entry) -> Vec<Word> {
    let first = |help: &str| help.split([';', '.', ':']).next().unwrap_or_default().to_owned();
    let own = entry.options.iter().map(|choice| Word {
        name: choice.name.to_owned(),
        value: placeholder(choice.value),
        shown: choice.value,
        help: first(choice.help),
        again: choice.help.contains("repeated"),
    });
    let settings = entry.flags().map(|setting| Word {
        name: setting.flag().unwrap_or_default(),
        value: if setting.kind == Kind::Switch { Value::None } else { placeholder(setting.value) },
        shown: setting.value,
        help: first(setting.help),
        again: setting.list,
    });
    let word = |name: &str, value, shown, help: &str| Word {
        name: name.to_owned(),
        value,
        shown,
        help: help.to_owned(),
        again: false,
    };
    let config =
        entry.is_configured().then(|| word("config", Value::File, "FILE", "read the settings from there"));
    own.chain(settings).chain(config).chain([word("help", Value::None, "", "explain it")]).collect()
}

/// The first words there are, with what they do.
fn first_words() -> Vec<(&'static str, &'static str)> {
    let alone =
        COMMANDS.iter().filter(|entry| !entry.name.contains(' ')).map(|entry| (entry.name, entry.brief));
    alone.chain(FAMILIES.iter().map(|family| (family.name, family.brief))).collect()
}

/// The words that follow the word of a family.
fn second_words(family: &str) -> Vec<(&'static str, &'static str)> {
    members(family).map(|entry| (&entry.name[family.len() + 1..], entry.brief)).collect()
}

fn names(words: &[(&'static str, &'static str)]) -> String {
    words.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(" ")
}

fn family_names() -> String {
    FAMILIES.iter().map(|family| family.name).collect::<Vec<_>>().join("|")
}

/// For bash; nothing is needed beside it.
fn bash() -> String {
    let mut text = "# Completions of deuced(8) for bash.\n_deuced() {\n".to_owned();
    text.push_str("    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n");
    text.push_str("    local command=${COMP_WORDS[1]} options= arguments=\n    COMPREPLY=()\n");
    let _ = writeln!(
        text,
        "    if ((COMP_CWORD == 1)); then\n        COMPREPLY=($(compgen -W '{} --help --version' -- \"$word\"))\n        return\n    fi",
        names(&first_words())
    );
    text.push_str("    if ((COMP_CWORD == 2)); then\n        case $command in\n");
    for family in FAMILIES {
        let words = names(&second_words(family.name));
        let _ = writeln!(text, "            {}) options='{words} --help' ;;", family.name);
    }
    text.push_str("        esac\n        if [[ $options ]]; then\n            COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))\n            return\n        fi\n    fi\n");
    let _ =
        writeln!(text, "    case $command in {}) command+=\" ${{COMP_WORDS[2]}}\" ;; esac", family_names());
    text.push_str("    case $command in\n");
    let mut values: Vec<(String, Value)> = Vec::new();
    for entry in COMMANDS {
        let options = options(entry);
        let list: Vec<String> = options.iter().map(|word| format!("--{}", word.name)).collect();
        let _ = writeln!(text, "        '{}')\n            options='{}'", entry.name, list.join(" "));
        for word in options {
            if word.value != Value::None && !values.contains(&(word.name.clone(), word.value.clone())) {
                values.push((word.name, word.value));
            }
        }
        for argument in entry.arguments {
            match placeholder(argument) {
                Value::Folder => text.push_str("            arguments=$(compgen -d -- \"$word\")\n"),
                Value::File => text.push_str("            arguments=$(compgen -f -- \"$word\")\n"),
                Value::Words(words) => {
                    let _ = writeln!(
                        text,
                        "            arguments=$(compgen -W '{}' -- \"$word\")",
                        words.join(" ")
                    );
                }
                _ => {}
            }
        }
        text.push_str("            ;;\n");
    }
    text.push_str("        *) return ;;\n    esac\n    local IFS=$'\\n'\n    case $before in\n");
    for (name, value) in &values {
        let reply = match value {
            Value::None | Value::Any => String::new(),
            Value::Folder => "compopt -o filenames; COMPREPLY=($(compgen -d -- \"$word\")); ".to_owned(),
            Value::File => "compopt -o filenames; COMPREPLY=($(compgen -f -- \"$word\")); ".to_owned(),
            Value::Words(words) => {
                format!("IFS=' '; COMPREPLY=($(compgen -W '{}' -- \"$word\")); ", words.join(" "))
            }
            Value::Assignment(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("{word}=")).collect();
                format!(
                    "compopt -o nospace; IFS=' '; COMPREPLY=($(compgen -W '{}' -- \"$word\")); ",
                    words.join(" ")
                )
            }
        };
        let _ = writeln!(text, "        --{name}) {reply}return ;;");
    }
    text.push_str(
        "    esac
    if [[ $word == -* ]]; then
        IFS=' '
        COMPREPLY=($(compgen -W \"$options\" -- \"$word\"))
    elif [[ $arguments ]]; then
        compopt -o filenames
        COMPREPLY=($arguments)
    fi
}
complete -F _deuced deuced
",
    );
    text
}

/// For zsh.
fn zsh() -> String {
    let mut text =
        "#compdef deuced\n# Completions of deuced(8) for zsh.\n_deuced() {\n    local -a words_here\n"
            .to_owned();
    let list = |text: &mut String, words: &[(&str, &str)]| {
        text.push_str("        words_here=(\n");
        for (name, brief) in words {
            let _ = writeln!(text, "            '{name}:{}'", in_quotes(brief));
        }
        text.push_str("        )\n        _describe command words_here\n        return\n");
    };
    text.push_str("    if ((CURRENT == 2)); then\n");
    list(&mut text, &first_words());
    text.push_str("    fi\n    local command=$words[2]\n    shift words\n    ((CURRENT--))\n");
    for family in FAMILIES {
        let _ = writeln!(text, "    if [[ $command == {} ]] && ((CURRENT == 2)); then", family.name);
        list(&mut text, &second_words(family.name));
        text.push_str("    fi\n");
    }
    let _ = writeln!(
        text,
        "    case $command in\n        {}) command=\"$command $words[2]\"; shift words; ((CURRENT--)) ;;\n    esac",
        family_names()
    );
    text.push_str("    case $command in\n");
    let action = |value: &Value| match value {
        Value::None | Value::Any => String::new(),
        Value::Folder => "_directories".to_owned(),
        Value::File => "_files".to_owned(),
        Value::Words(words) => format!("({})", words.join(" ")),
        Value::Assignment(words) => format!("compadd -S = -- {}", words.join(" ")),
    };
    for entry in COMMANDS {
        let _ = writeln!(text, "        '{}')\n            _arguments \\", entry.name);
        for word in options(entry) {
            let again = if word.again { "*" } else { "" };
            let help = in_quotes(&word.help).replace('[', "\\[").replace(']', "\\]");
            let value = match word.value {
                Value::None => String::new(),
                ref value => format!(":{}:{}", word.shown.replace(':', "\\:"), action(value)),
            };
            let _ = writeln!(text, "                '{again}--{}[{help}]{value}' \\", word.name);
        }
        for argument in entry.arguments {
            let optional = if argument.starts_with('[') { ":" } else { "" };
            let shown = argument.trim_matches(['[', ']']);
            let _ =
                writeln!(text, "                ':{optional}{shown}:{}' \\", action(&placeholder(argument)));
        }
        text.push_str("                && return\n            ;;\n");
    }
    text.push_str("    esac\n}\n_deuced \"$@\"\n");
    text
}

/// For fish.
fn fish() -> String {
    let mut text = "# Completions of deuced(8) for fish.\ncomplete -c deuced -f\n".to_owned();
    for (name, brief) in first_words() {
        let brief = in_quotes(brief);
        let _ = writeln!(text, "complete -c deuced -n __fish_use_subcommand -a {name} -d '{brief}'");
    }
    for family in FAMILIES {
        let words = second_words(family.name);
        for (name, brief) in &words {
            let _ = writeln!(
                text,
                "complete -c deuced -n '__fish_seen_subcommand_from {}; and not __fish_seen_subcommand_from {}' -a {name} -d '{}'",
                family.name,
                names(&words),
                in_quotes(brief)
            );
        }
    }
    let action = |value: &Value| match value {
        Value::None => String::new(),
        Value::Any => " -x".to_owned(),
        Value::Folder => " -x -a '(__fish_complete_directories)'".to_owned(),
        Value::File => " -r -F".to_owned(),
        Value::Words(words) => format!(" -x -a '{}'", words.join(" ")),
        Value::Assignment(words) => format!(" -x -a '{}='", words.join("= ")),
    };
    for entry in COMMANDS {
        let seen: Vec<String> =
            entry.name.split(' ').map(|word| format!("__fish_seen_subcommand_from {word}")).collect();
        let seen = seen.join("; and ");
        for word in options(entry) {
            let (name, help, value) = (&word.name, in_quotes(&word.help), action(&word.value));
            let _ = writeln!(text, "complete -c deuced -n '{seen}' -l {name}{value} -d '{help}'");
        }
        for argument in entry.arguments {
            match placeholder(argument) {
                Value::Words(words) => {
                    let _ = writeln!(text, "complete -c deuced -n '{seen}' -a '{}'", words.join(" "));
                }
                Value::Folder => {
                    let _ =
                        writeln!(text, "complete -c deuced -n '{seen}' -a '(__fish_complete_directories)'");
                }
                Value::File => {
                    let _ = writeln!(text, "complete -c deuced -n '{seen}' -F");
                }
                _ => {}
            }
        }
    }
    text
}

/// Text between single quotes of a shell: none of them knows a way to have one there in common.
fn in_quotes(text: &str) -> String {
    text.replace('\'', "").replace(':', " -")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_knows_every_command_and_option() {
        for (shell, script) in SHELLS {
            let script = script();
            for entry in COMMANDS {
                for word in entry.name.split(' ') {
                    assert!(script.contains(word), "{shell}: {word}");
                }
                for word in options(entry) {
                    let written = if shell == "fish" {
                        format!("-l {} ", word.name)
                    } else {
                        format!("--{}", word.name)
                    };
                    assert!(script.contains(&written), "{shell}: {written}");
                }
            }
            for line in Limits::TABLE {
                assert!(script.contains(line.name), "{shell}: {}", line.name);
            }
            assert!(!script.contains("metrics-token"), "{shell}");
        }
    }
}
