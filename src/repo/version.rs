//! Versions of both formats, ordered as their own package managers order them.

use std::cmp::Ordering;

use super::{deb, rpm};
use crate::domain::mirror::PackageFormat;

/// Orders two versions as text: Debian's, or RPM's `[epoch:]version-release`.
pub fn compare(format: PackageFormat, left: &str, right: &str) -> Ordering {
    match format {
        PackageFormat::Deb => deb::version::compare(left, right),
        PackageFormat::Rpm => rpm::version::Evr::of(left).compare(&rpm::version::Evr::of(right)),
    }
}

/// The highest of several versions.
pub fn highest<'a>(format: PackageFormat, versions: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    versions.max_by(|left, right| compare(format, left, right))
}
