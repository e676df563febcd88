//! updateinfo.xml.

#![no_main]

use kickctl_fuzz::repo::rpm::updateinfo::{Update, Updates};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut updates = Updates::new(data);
    while let Ok(Some(raw)) = updates.next_raw() {
        if let Ok(update) = Update::parse(raw) {
            let _ = (update.needs_reboot(), update.is_retracted());
        }
    }
});
