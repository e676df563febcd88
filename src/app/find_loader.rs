//! Where a network boot program lies on this head.

use std::path::{Path, PathBuf};

use crate::config::Config;
use crate::provision::loader::Loader;
use crate::sys::data_dir::DataDir;

/// The site's own folder (`loaders.path`) first, then what kickctl unpacked, then what the system's package installed.
pub fn find_loader(config: &Config, data: &DataDir, loader: &Loader) -> Option<PathBuf> {
    let own = config.loaders.as_ref().map(|folder| folder.join(loader.file));
    let places = [own, Some(data.loaders().join(loader.file)), Some(Path::new("/").join(loader.packaged_as))];
    places.into_iter().flatten().find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::provision::loader::LOADERS;
    use std::fs;

    #[test]
    fn the_sites_own_loader_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path());
        let own = folder.path().join("own");
        let text =
            format!("interface = \"e\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n[loaders]\npath = \"{}\"\n", own.display());
        let config = Config::parse(&Source::new("kickctl.toml", text)).unwrap();
        fs::create_dir_all(data.loaders()).unwrap();
        fs::write(data.loaders().join(LOADERS[0].file), "x").unwrap();
        assert_eq!(find_loader(&config, &data, &LOADERS[0]), Some(data.loaders().join(LOADERS[0].file)));
        fs::create_dir(&own).unwrap();
        fs::write(own.join(LOADERS[0].file), "x").unwrap();
        assert_eq!(find_loader(&config, &data, &LOADERS[0]), Some(own.join(LOADERS[0].file)));
    }
}
