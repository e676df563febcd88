//! The numbers of the header tags that metadata needs (rpm's `rpmtag.h`).

/// A tag's number.
pub type Tag = u32;

/// Three tags that together are one kind of dependency, index by index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DependencyTags {
    /// Names.
    pub names: Tag,
    /// Comparison and sense flags.
    pub flags: Tag,
    /// `[epoch:]version[-release]`, empty without a comparison.
    pub versions: Tag,
}

const fn dependency(names: Tag, flags: Tag, versions: Tag) -> DependencyTags {
    DependencyTags { names, flags, versions }
}

/// Package name.
pub const NAME: Tag = 1000;
/// Version.
pub const VERSION: Tag = 1001;
/// Release.
pub const RELEASE: Tag = 1002;
/// Epoch; absent means 0.
pub const EPOCH: Tag = 1003;
/// One line.
pub const SUMMARY: Tag = 1004;
/// Several lines.
pub const DESCRIPTION: Tag = 1005;
/// Seconds since 1970.
pub const BUILD_TIME: Tag = 1006;
/// Host it was built on.
pub const BUILD_HOST: Tag = 1007;
/// Installed size, 32 bits.
pub const SIZE: Tag = 1009;
/// Installed size, 64 bits.
pub const LONG_SIZE: Tag = 5009;
/// Vendor.
pub const VENDOR: Tag = 1011;
/// Licence.
pub const LICENSE: Tag = 1014;
/// Packager.
pub const PACKAGER: Tag = 1015;
/// Group.
pub const GROUP: Tag = 1016;
/// Home page.
pub const URL: Tag = 1020;
/// Architecture (of a source package: the one it was built on).
pub const ARCH: Tag = 1022;
/// Whole paths, in packages older than rpm 4.
pub const OLD_FILENAMES: Tag = 1027;
/// File modes, 16 bits.
pub const FILE_MODES: Tag = 1030;
/// File flags.
pub const FILE_FLAGS: Tag = 1037;
/// The source package; absent in source packages.
pub const SOURCE_RPM: Tag = 1044;
/// Size of the uncompressed payload, 32 bits.
pub const ARCHIVE_SIZE: Tag = 1046;
/// The same, 64 bits; also the number of the tag in the signature header.
pub const LONG_ARCHIVE_SIZE: Tag = 271;
/// Size of the uncompressed payload, in the signature header.
pub const SIGNATURE_PAYLOAD_SIZE: Tag = 1007;
/// Times of changes.
pub const CHANGELOG_TIMES: Tag = 1080;
/// Authors of changes.
pub const CHANGELOG_NAMES: Tag = 1081;
/// Texts of changes.
pub const CHANGELOG_TEXTS: Tag = 1082;
/// Present and not 0 in source packages.
pub const SOURCE_PACKAGE: Tag = 1106;
/// For each file the index of its folder in [`DIR_NAMES`].
pub const DIR_INDEXES: Tag = 1116;
/// For each file its last path segment.
pub const BASE_NAMES: Tag = 1117;
/// Folders, with a slash at the end.
pub const DIR_NAMES: Tag = 1118;

/// What the package provides.
pub const PROVIDES: DependencyTags = dependency(1047, 1112, 1113);
/// What it requires.
pub const REQUIRES: DependencyTags = dependency(1049, 1048, 1050);
/// What it conflicts with.
pub const CONFLICTS: DependencyTags = dependency(1054, 1053, 1055);
/// What it obsoletes.
pub const OBSOLETES: DependencyTags = dependency(1090, 1114, 1115);
/// What it recommends.
pub const RECOMMENDS: DependencyTags = dependency(5046, 5048, 5047);
/// What it suggests.
pub const SUGGESTS: DependencyTags = dependency(5049, 5051, 5050);
/// What it supplements.
pub const SUPPLEMENTS: DependencyTags = dependency(5052, 5054, 5053);
/// What it enhances.
pub const ENHANCES: DependencyTags = dependency(5055, 5057, 5056);
/// SUSE's tags before rpm 4.12: suggests, or recommends where flagged strong.
pub const OLD_SUGGESTS: DependencyTags = dependency(1156, 1158, 1157);
/// SUSE's tags before rpm 4.12: enhances, or supplements where flagged strong.
pub const OLD_ENHANCES: DependencyTags = dependency(1159, 1161, 1160);
