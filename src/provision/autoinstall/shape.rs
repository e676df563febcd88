//! What a value of an autoinstall file may be, and whether one is.

use serde_yaml_ng::Value;

use crate::provision::variables::distance;

/// What a value may be.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Whatever: somebody else looks at it.
    Anything,
    /// Text. A number or a truth value that was not put into quotes is none.
    Text,
    /// Text, or nothing.
    TextOrNull,
    /// A truth value, also in YAML 1.1's words, which the installer's parser takes.
    Bool,
    /// A whole number between these.
    Number(u64, u64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// A command for `sh -c`, or program and arguments; a list of them.
    Commands,
    /// A list.
    List(&'static Self),
    /// A mapping whose keys are known.
    Table(&'static [Key]),
    /// A mapping of which these keys are known, and others may be there.
    Open(&'static [Key]),
}

/// A key of a mapping.
pub type Key = (&'static str, Need, Shape);

/// Whether a key has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has to.
    Must,
    /// It can be left out.
    May,
}

/// Something that is wrong, with the keys that lead to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Keys from the outermost.
    pub path: Vec<String>,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

/// Most misfits that are told of one file.
const MOST: usize = 50;

/// Holds a value against a shape.
pub fn check(value: &Value, shape: Shape, path: &mut Vec<String>, found: &mut Vec<Misfit>) {
    if found.len() >= MOST {
        return;
    }
    let mut wrong = |problem: &str, remedy: String| found.push(Misfit { path: path.clone(), problem: problem.to_owned(), remedy });
    match (shape, value) {
        (Shape::Anything, _) | (Shape::Text | Shape::TextOrNull, Value::String(_)) | (Shape::TextOrNull, Value::Null) => {}
        (Shape::Text | Shape::TextOrNull, _) => wrong("is not text", "put it into quotes".to_owned()),
        (Shape::Bool, value) if truth(value) => {}
        (Shape::Bool, _) => wrong("is neither true nor false", "write true or false".to_owned()),
        (Shape::Number(least, most), Value::Number(number)) if number.as_u64().is_some_and(|number| (least..=most).contains(&number)) => {}
        (Shape::Number(least, most), _) if least == most => wrong("is not known", format!("write {least}")),
        (Shape::Number(least, most), _) => wrong("is not such a number", format!("a whole number from {least} to {most}")),
        (Shape::Word(words), Value::String(word)) if words.contains(&word.as_str()) => {}
        (Shape::Word(words), _) => wrong("is not known", format!("one of {}", words.join(", "))),
        (Shape::Commands, Value::Sequence(items)) if items.iter().all(is_command) => {}
        (Shape::Commands, _) => wrong("is no list of commands", "each is one text for a shell, or a list of texts".to_owned()),
        (Shape::List(inner), Value::Sequence(items)) => {
            for (at, item) in items.iter().enumerate() {
                path.push(at.to_string());
                check(item, *inner, path, found);
                path.pop();
            }
        }
        (Shape::List(_), _) => wrong("is no list", "begin each item with `- `".to_owned()),
        (Shape::Table(keys), Value::Mapping(table)) => check_table(table, keys, false, path, found),
        (Shape::Open(keys), Value::Mapping(table)) => check_table(table, keys, true, path, found),
        (Shape::Table(_) | Shape::Open(_), _) => wrong("has no keys", "write its keys below it, further in".to_owned()),
    }
}

fn check_table(table: &serde_yaml_ng::Mapping, keys: &'static [Key], is_open: bool, path: &mut Vec<String>, found: &mut Vec<Misfit>) {
    for (name, value) in table {
        let name = name.as_str().unwrap_or("?");
        path.push(name.to_owned());
        match keys.iter().find(|(key, ..)| *key == name) {
            Some((_, _, shape)) => check(value, *shape, path, found),
            None if is_open => {}
            None => {
                let near = keys.iter().map(|(key, ..)| (distance(key, name), *key)).filter(|(distance, _)| *distance <= 3).min();
                let remedy = near.map_or_else(
                    || format!("there are {}", keys.iter().map(|(key, ..)| *key).collect::<Vec<_>>().join(", ")),
                    |(_, key)| format!("did you mean `{key}`?"),
                );
                found.push(Misfit { path: path.clone(), problem: "there is no such key".to_owned(), remedy });
            }
        }
        path.pop();
    }
    for (key, need, _) in keys {
        if *need == Need::Must && !table.contains_key(*key) {
            found.push(Misfit {
                path: path.clone(),
                problem: format!("`{key}` is missing"),
                remedy: format!("write `{key}:` with a value"),
            });
        }
    }
}

fn is_command(value: &Value) -> bool {
    match value {
        Value::String(_) => true,
        Value::Sequence(words) => !words.is_empty() && words.iter().all(Value::is_string),
        _ => false,
    }
}

/// YAML 1.1, type `bool`; the parser here knows 1.2's words only.
fn truth(value: &Value) -> bool {
    match value {
        Value::Bool(_) => true,
        Value::String(word) => ["yes", "no", "on", "off"].iter().any(|known| word.eq_ignore_ascii_case(known)),
        _ => false,
    }
}
