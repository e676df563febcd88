//! Rich dependencies: `(foo if bar)`, `(a >= 1 and (b or c))` (rpm's `boolean_dependencies.md`), taken apart for a closure.

use super::depends::Comparison;

/// Deeper nesting is refused: real ones nest three deep.
const MAX_DEPTH: usize = 32;

/// What a rich dependency asks of a repository that is to satisfy every case of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rich<'a> {
    /// A plain dependency: name, and version.
    One(&'a str, Option<(Comparison, &'a str)>),
    /// `and`, `with`: each of them.
    All(Vec<Rich<'a>>),
    /// `or`: at least one of them.
    Any(Vec<Rich<'a>>),
    /// `if`, `unless` (with or without `else`): what is needed in some case only.
    Maybe(Vec<Rich<'a>>),
}

/// Takes a rich dependency apart. `None` if it is none, or malformed.
pub fn parse(text: &str) -> Option<Rich<'_>> {
    let mut rest = text.trim();
    let parsed = group(&mut rest, 0)?;
    rest.trim().is_empty().then_some(parsed)
}

/// `( operand [operator operand]... )`. All operators of a group are the same, but for `else` behind `if` and `unless`.
fn group<'a>(rest: &mut &'a str, depth: usize) -> Option<Rich<'a>> {
    if depth == MAX_DEPTH {
        return None;
    }
    *rest = rest.strip_prefix('(')?;
    let mut operands = vec![operand(rest, depth)?];
    let mut operator = "and";
    loop {
        *rest = rest.trim_start();
        if let Some(behind) = rest.strip_prefix(')') {
            *rest = behind;
            break;
        }
        operator = match (word(rest)?, operator) {
            ("else", known @ ("if" | "unless")) => known,
            (known @ ("and" | "or" | "if" | "unless" | "with" | "without"), before) if operands.len() == 1 || known == before => known,
            _ => return None,
        };
        operands.push(operand(rest, depth)?);
    }
    Some(match operator {
        "or" => Rich::Any(operands),
        // What stands behind `if`, `unless` and `without` is a condition, nobody's need.
        "if" | "unless" => {
            operands.remove(1);
            Rich::Maybe(operands)
        }
        "without" => operands.swap_remove(0),
        _ if operands.len() == 1 => operands.swap_remove(0),
        _ => Rich::All(operands),
    })
}

fn operand<'a>(rest: &mut &'a str, depth: usize) -> Option<Rich<'a>> {
    *rest = rest.trim_start();
    if rest.starts_with('(') {
        return group(rest, depth + 1);
    }
    let name = word(rest)?;
    let before = *rest;
    let comparison = match word(rest) {
        Some("<") => Comparison::Lt,
        Some("<=") => Comparison::Le,
        Some("=") => Comparison::Eq,
        Some(">=") => Comparison::Ge,
        Some(">") => Comparison::Gt,
        _ => {
            *rest = before;
            return Some(Rich::One(name, None));
        }
    };
    Some(Rich::One(name, Some((comparison, word(rest)?))))
}

/// The next word; parentheses within it are its own, as in `perl(Foo)`.
fn word<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let text = rest.trim_start();
    let mut open = 0_usize;
    let end = text.char_indices().find(|(_, c)| match c {
        '(' => {
            open += 1;
            false
        }
        ')' if open > 0 => {
            open -= 1;
            false
        }
        ')' => true,
        c => c.is_whitespace(),
    });
    let (word, behind) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    *rest = behind;
    (!word.is_empty()).then_some(word)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(name: &str) -> Rich<'_> {
        Rich::One(name, None)
    }

    #[test]
    fn every_operator_is_taken_apart() {
        assert_eq!(parse("(foo if bar)"), Some(Rich::Maybe(vec![one("foo")])));
        assert_eq!(parse("(foo if bar else baz)"), Some(Rich::Maybe(vec![one("foo"), one("baz")])));
        assert_eq!(parse("(a without b)"), Some(one("a")));
        let versions = Rich::All(vec![Rich::One("x", Some((Comparison::Ge, "1.0"))), Rich::One("x", Some((Comparison::Lt, "2")))]);
        assert_eq!(parse("(x >= 1.0 with x < 2)"), Some(versions));
        let nested = Rich::All(vec![one("perl(A::B)"), Rich::Any(vec![one("b"), one("libc.so.6()(64bit)"), one("c")])]);
        assert_eq!(parse("(perl(A::B) and (b or libc.so.6()(64bit) or c))"), Some(nested));
    }

    #[test]
    fn what_is_no_rich_dependency_is_told() {
        for bad in ["foo", "(foo", "(foo if bar) x", "(a and b or c)", "()", "(a and)", "(a b)", "(a >= )", &"(".repeat(1000)] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "(\\(|\\)| |and|or|if|else|with|unless|<=|=|[a-zä]{1,3}){0,20}") {
            let _ = parse(&noise);
        }
    }
}
