//! .treeinfo.

#![no_main]

use kickctl_fuzz::repo::rpm::treeinfo::TreeInfo;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(tree) = TreeInfo::parse(data) {
        let _ = (tree.files(), tree.image("kernel"), tree.variants.iter().filter(|variant| variant.is_outside()).count());
    }
});
