//! Globs over package names.

/// True if the whole of `name` matches `pattern`: `*` is any text, `?` one character, everything else itself.
pub fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where the last `*` was, and how much of the name it has swallowed so far.
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(b) if *b == b'?' || *b == name[n] => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, swallowed)) = star else { return false };
                star = Some((at, swallowed + 1));
                p = at + 1;
                n = swallowed + 1;
            }
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

/// True if a pattern has wildcards.
pub fn is_glob(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_whole_names() {
        for (pattern, name) in
            [("linux-image-*-amd64", "linux-image-6.12.94+deb13-amd64"), ("*", ""), ("a*b*c", "axbxbc"), ("?", "x"), ("a", "a")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("linux-image-*-amd64", "linux-image-amd64"), ("a", "ab"), ("?", ""), ("a*b", "abc"), ("", "a")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
