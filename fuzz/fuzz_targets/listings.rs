//! primary.xml, filelists.xml and other.xml; packages that can be read go into a closure.

#![no_main]

use kickctl_fuzz::repo::rpm::closure::{Filter, select};
use kickctl_fuzz::repo::rpm::filelists::{FileList, pkgid_of};
use kickctl_fuzz::repo::rpm::other::Changelog;
use kickctl_fuzz::repo::rpm::primary::{Package, Packages, relocate};
use kickctl_fuzz::repo::rpm::universe::Universe;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut packages = Packages::new(data);
    let mut universe = Universe::default();
    while let Ok(Some(raw)) = packages.next_raw() {
        let _ = (FileList::parse(raw), Changelog::parse(raw), pkgid_of(raw), relocate(raw, "x"));
        if let Ok(package) = Package::parse(raw) {
            universe.add(&package);
        }
    }
    let _ = (packages.declared(), universe.open_paths());
    select(&universe, &Filter { newest: Some(1), dependencies: true, recommends: true, ..Filter::default() });
});
