//! Dependency fields: `a (>= 1) | b, c:any [amd64] <!nocheck>` (deb-control(5), Debian Policy 7.1).

use std::cmp::Ordering;

/// How a version must relate to the one named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// `<<`
    Earlier,
    /// `<=`
    EarlierOrEqual,
    /// `=`
    Equal,
    /// `>=`
    LaterOrEqual,
    /// `>>`
    Later,
}

impl Operator {
    /// True if a version that compares to the named one like this will do.
    pub fn accepts(self, order: Ordering) -> bool {
        match self {
            Self::Earlier => order.is_lt(),
            Self::EarlierOrEqual => order.is_le(),
            Self::Equal => order.is_eq(),
            Self::LaterOrEqual => order.is_ge(),
            Self::Later => order.is_gt(),
        }
    }
}

/// One alternative of a dependency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// The package, possibly a virtual one.
    pub name: &'a str,
    /// After the colon: `any`, `native` or an architecture.
    pub qualifier: Option<&'a str>,
    /// The version demanded.
    pub version: Option<(Operator, &'a str)>,
    /// Architectures it is for; with a `!` before each, those it is not for. Empty: all.
    pub architectures: Vec<&'a str>,
}

impl Relation<'_> {
    /// True if the relation counts on this architecture.
    pub fn applies_to(&self, architecture: &str) -> bool {
        let mut denied = false;
        for listed in &self.architectures {
            match listed.strip_prefix('!') {
                Some(other) if covers(other, architecture) => return false,
                Some(_) => denied = true,
                None if covers(listed, architecture) => return true,
                None => {}
            }
        }
        denied || self.architectures.is_empty()
    }

    /// True if this version will do.
    pub fn accepts(&self, version: &str) -> bool {
        self.version.is_none_or(|(operator, wanted)| operator.accepts(super::version::compare(version, wanted)))
    }
}

/// `any` and `linux-any` are the wildcards that mean a Linux architecture (Policy 11.1).
fn covers(listed: &str, architecture: &str) -> bool {
    listed == architecture || matches!(listed, "any" | "linux-any") || listed.strip_prefix("any-") == Some(architecture)
}

/// One dependency: any of its alternatives satisfies it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency<'a> {
    /// In the order of preference; never empty.
    pub alternatives: Vec<Relation<'a>>,
    /// As written.
    pub text: &'a str,
}

/// Text that is not a dependency field.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("dependency field, byte {at}: expected {expected}")]
pub struct RelationError {
    /// Byte offset in the field.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// Parses a Depends-style field. Build profiles (`<...>`) are passed over. An empty field has no dependencies.
pub fn parse(field: &str) -> Result<Vec<Dependency<'_>>, RelationError> {
    let mut dependencies = Vec::new();
    let mut at = 0;
    // No comma, bar or parenthesis can be part of a name or version, so that splitting first is safe.
    for text in field.split(',') {
        if !text.trim().is_empty() {
            let mut alternatives = Vec::new();
            let mut start = at;
            for alternative in text.split('|') {
                alternatives.push(Cursor { field, at: start, end: start + alternative.len() }.relation()?);
                start += alternative.len() + 1;
            }
            dependencies.push(Dependency { alternatives, text: text.trim() });
        }
        at += text.len() + 1;
    }
    Ok(dependencies)
}

/// Reads one alternative, `at..end` of the field.
struct Cursor<'a> {
    field: &'a str,
    at: usize,
    end: usize,
}

impl<'a> Cursor<'a> {
    fn rest(&self) -> &'a str {
        self.field.get(self.at..self.end).unwrap_or_default()
    }

    fn expected<T>(&self, expected: &'static str) -> Result<T, RelationError> {
        Err(RelationError { at: self.at, expected })
    }

    fn skip_blanks(&mut self) {
        self.at = self.end - self.rest().trim_start().len();
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = rest.find(|c| !accept(c)).map_or(rest, |end| &rest[..end]);
        self.at += taken.len();
        taken
    }

    /// The text up to `close`, which is taken too.
    fn inside(&mut self, close: char) -> Result<&'a str, RelationError> {
        self.at += 1;
        let Some((inside, _)) = self.rest().split_once(close) else { return self.expected("a closing bracket") };
        self.at += inside.len() + close.len_utf8();
        Ok(inside)
    }

    fn relation(mut self) -> Result<Relation<'a>, RelationError> {
        self.skip_blanks();
        let name = self.take_while(|c| c.is_ascii_alphanumeric() || "+-._".contains(c));
        if name.is_empty() {
            return self.expected("a package name");
        }
        let mut relation = Relation { name, qualifier: None, version: None, architectures: Vec::new() };
        if self.rest().starts_with(':') {
            self.at += 1;
            relation.qualifier = Some(self.take_while(|c| c.is_ascii_alphanumeric() || c == '-'));
        }
        loop {
            self.skip_blanks();
            match self.rest().chars().next() {
                None => return Ok(relation),
                Some('(') if relation.version.is_none() => relation.version = Some(self.version()?),
                Some('[') => relation.architectures.extend(self.inside(']')?.split_whitespace()),
                Some('<') => drop(self.inside('>')?),
                Some(_) => return self.expected("`(`, `[`, `<`, `|`, `,` or the end"),
            }
        }
    }

    fn version(&mut self) -> Result<(Operator, &'a str), RelationError> {
        let start = self.at + 1;
        let inside = self.inside(')')?.trim();
        // `<` and `>` alone are old spellings of `<=` and `>=` (Policy 7.1), still found in the wild.
        let operators = [
            ("<<", Operator::Earlier),
            ("<=", Operator::EarlierOrEqual),
            (">=", Operator::LaterOrEqual),
            (">>", Operator::Later),
            ("=", Operator::Equal),
            ("<", Operator::EarlierOrEqual),
            (">", Operator::LaterOrEqual),
        ];
        let found = operators.iter().find_map(|(sign, operator)| Some((*operator, inside.strip_prefix(sign)?.trim())));
        let (operator, version) = found.ok_or(RelationError { at: start, expected: "`<<`, `<=`, `=`, `>=` or `>>`" })?;
        if version.is_empty() || version.contains(char::is_whitespace) {
            return Err(RelationError { at: start, expected: "one version after the operator" });
        }
        Ok((operator, version))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_field_with_everything_in_it() {
        let parsed = parse("libc6 (>= 2.41), a:any|b (=1:2~3-4) [amd64 !i386] <!nocheck> <x y>,\n python3:native\n").unwrap();
        assert_eq!(parsed.len(), 3);
        assert_eq!(parsed[0].alternatives[0].version, Some((Operator::LaterOrEqual, "2.41")));
        assert_eq!(parsed[1].text, "a:any|b (=1:2~3-4) [amd64 !i386] <!nocheck> <x y>");
        assert_eq!(parsed[1].alternatives[0].qualifier, Some("any"));
        assert_eq!(parsed[1].alternatives[1].version, Some((Operator::Equal, "1:2~3-4")));
        assert_eq!(parsed[1].alternatives[1].architectures, ["amd64", "!i386"]);
        assert_eq!(parsed[2].alternatives[0].qualifier, Some("native"));
        assert_eq!(parse("").unwrap(), []);
        assert_eq!(parse(" , ").unwrap(), []);
    }

    #[test]
    fn errors_say_where() {
        assert_eq!(parse("a, (>= 1)").unwrap_err(), RelationError { at: 3, expected: "a package name" });
        assert_eq!(parse("a, b (>= 1").unwrap_err().at, 6);
        assert_eq!(parse("a | b (1)").unwrap_err().at, 7);
        assert_eq!(parse("a b").unwrap_err().at, 2);
        assert_eq!(parse("a ||b").unwrap_err().at, 3);
    }

    #[test]
    fn operators_and_architectures_decide() {
        let of = |text: &'static str| parse(text).unwrap().remove(0).alternatives.remove(0);
        assert!(of("a (<< 1)").accepts("1~rc1") && !of("a (<< 1)").accepts("1"));
        assert!(of("a (= 1-1)").accepts("0:1-1") && !of("a (= 1-1)").accepts("1-1+b1"));
        assert!(of("a (> 1)").accepts("1"));
        assert!(of("a [amd64]").applies_to("amd64") && !of("a [amd64]").applies_to("arm64"));
        assert!(of("a [!amd64]").applies_to("arm64") && !of("a [!amd64]").applies_to("amd64"));
        assert!(of("a [linux-any]").applies_to("amd64") && of("a [any-arm64]").applies_to("arm64"));
    }

    proptest! {
        #[test]
        fn noise_never_panics(noise in "[a-z(\\[<>=|,: )\\]!é]{0,40}") {
            for dependency in parse(&noise).unwrap_or_default() {
                prop_assert!(!dependency.alternatives.is_empty());
            }
        }
    }
}
