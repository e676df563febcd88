//! What an installer's initrd tells about itself: its kernel, and the udebs it holds already.

/// Facts of an installer's initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitrdFacts {
    /// The kernel release, such as `6.12.94+deb13-amd64`: the folder below `lib/modules`.
    pub kernel_release: String,
    /// The text of `var/lib/dpkg/status`, empty when there is none.
    pub dpkg_status: String,
}

/// Why an initrd could not be read.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// Not a cpio archive of the newc kind.
    #[error("the initrd is not a newc cpio archive at byte {at}: {problem}")]
    NotCpio {
        /// Offset in the (decompressed) segment.
        at: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// Decompression failed or ran into the limit.
    #[error("the initrd cannot be decompressed")]
    Compressed(#[from] std::io::Error),
    /// No module folder: not an installer's initrd.
    #[error("the initrd has no lib/modules/<release>: it is not a Debian installer's")]
    NoKernel,
    /// Modules of several kernels.
    #[error("the initrd has modules of several kernels: {0} and {1}")]
    SeveralKernels(String, String),
}

/// Reads an initrd: segments of cpio, plain (microcode) or compressed by gzip, xz or zstd, one after another.
/// At most 1 GiB is decompressed.
pub fn facts(initrd: &[u8]) -> Result<InitrdFacts, InitrdError> {
    todo!()
}

/// A udeb that the initrd holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its `Provides` field, empty when absent.
    pub provides: String,
}

/// The udebs of a dpkg status file that are there: status `installed` or `unpacked` (the installer's own are `unpacked`).
pub fn installed(dpkg_status: &str) -> Result<Vec<Installed>, super::paragraph::ParagraphError> {
    todo!()
}
