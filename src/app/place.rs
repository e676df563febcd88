//! Finds a head's configuration and data folder by what the command line said.

use std::path::Path;

use super::{Error, Result};
use crate::config::{self, Config};
use crate::store::SqliteStore;
use crate::sys::data_dir::DataDir;

/// A configured head on this machine.
#[derive(Clone, Debug)]
pub struct Place {
    /// What `kickctl.toml` means.
    pub config: Config,
    /// Where everything lies.
    pub data: DataDir,
}

impl Place {
    /// Reads the configuration that `--config` and `--data` lead to.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none, [`Error::Config`] if it is wrong.
    pub fn find(config_option: Option<&Path>, data_option: Option<&Path>) -> Result<Self> {
        let file = config::file(config_option, data_option);
        if !file.exists() {
            let file = file.display();
            return Err(Error::Usage(format!(
                "there is no configuration at {file}: `kickctl init --interface eth1 --subnet 10.0.0.0/24` makes one, or --config and --data name another"
            )));
        }
        let config = Config::load(&file)?;
        let data = DataDir::new(config::data(data_option, Some(&config)));
        Ok(Self { config, data })
    }

    /// The data folder alone, for what needs no configuration: `--data`, else what a configuration that exists says, else the
    /// system's.
    ///
    /// # Errors
    /// [`Error::Config`] if there is a configuration and it is wrong.
    pub fn data(config_option: Option<&Path>, data_option: Option<&Path>) -> Result<DataDir> {
        if data_option.is_none() {
            let file = config::file(config_option, None);
            if config_option.is_some() || file.exists() {
                return Ok(DataDir::new(config::data(None, Some(&Config::load(&file)?))));
            }
        }
        Ok(DataDir::new(config::data(data_option, None)))
    }

    /// Opens the state, making it if needed.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn store(&self) -> Result<SqliteStore> {
        Ok(SqliteStore::open(&self.data.state()).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_folder_is_where_the_more_specific_word_says() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("x.toml");
        let text = "data = \"/srv/d\"\ninterface = \"e\"\naddress = \"10.0.0.1\"\nsubnet = \"10.0.0.0/24\"\n";
        std::fs::write(&file, text).unwrap();
        let root = |option| Place::data(Some(&file), option).unwrap().root().to_owned();
        assert_eq!(root(None), Path::new("/srv/d"));
        assert_eq!(root(Some(place.path())), place.path());
        assert_eq!(Place::find(Some(&file), None).unwrap().data.root(), Path::new("/srv/d"));
        assert!(Place::data(Some(&place.path().join("none")), None).is_err(), "a configuration that was named has to be there");
    }
}
