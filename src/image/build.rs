//! A build: from a recipe and a snapshot to a version.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::guest;
use super::layout::ImageDir;
use super::source::{self, Needs, PackageSource};
use super::steps::Step;
use super::version::{Facts, Making};
use super::{Error, Progress, Result, lay, squash, steps};
use crate::domain::checksum::Sha256;
use crate::domain::image::{ImageVersion, Origin, Recipe};
use crate::sys::atomic::{self, named};

/// Raised when a build would make something else of the same input.
const METHOD: u32 = 1;

/// What a build works with.
pub struct Build<'a> {
    /// The image's folder; the caller holds its lock `building`.
    pub dir: &'a ImageDir,
    /// What to make.
    pub recipe: &'a Recipe,
    /// Where packages come from.
    pub source: &'a PackageSource,
    /// Hears how it goes.
    pub progress: Arc<dyn Progress>,
}

/// What a build came to.
#[derive(Clone, Debug)]
pub enum Built {
    /// There is a version of the same input already.
    Same(Box<ImageVersion>),
    /// A new version was made.
    New(Box<ImageVersion>),
}

impl Build<'_> {
    /// The version that there is already of the same input. `None`: a build would make one.
    ///
    /// # Errors
    /// If a file of the recipe or a version's record does not read.
    pub fn same(&self) -> Result<Option<ImageVersion>> {
        Ok(self.prepare(&self.needs())?.2)
    }

    /// Makes a version, unless there is one of the same input.
    ///
    /// # Errors
    /// [`Error`]; what was published stays published.
    pub fn run(&self) -> Result<Built> {
        let program = self.source.program();
        check_tools(&[program, squash::PROGRAM, ("unshare", "util-linux")])?;
        let needs = self.needs();
        let (files, input, same) = self.prepare(&needs)?;
        if let Some(same) = same {
            return Ok(Built::Same(Box::new(same)));
        }
        let steps: Vec<Step> = self.source.settle().into_iter().chain(steps::of(self.recipe)).collect();
        let epoch = self.source.made.unix_timestamp();
        let mut making = Making::begin(self.dir, epoch, steps.len() + 2, Arc::clone(&self.progress))?;
        making.log.stage("installing packages")?;
        for (name, bytes) in &self.source.aids() {
            let path = making.place().path().join("keys").join(name);
            fs::write(&path, bytes).map_err(|error| named(error, "write", &path))?;
        }
        let tree = Some(self.source.tree.as_path());
        let mut install = self.source.install(&making.room(tree), &needs.packages);
        making.log.run(program.0, &mut install, None)?;
        making.log.stage("laying files over it")?;
        let mut unpack = making.room(None).inside("tar");
        // A folder of the archive does not replace a link to a folder, such as /lib or /bin.
        unpack.args(["--extract", "--file=-", "--directory=/", "--keep-directory-symlink", "--numeric-owner", "--same-permissions"]);
        making.log.run("tar", &mut unpack, Some(files))?;
        for step in &steps {
            making.log.stage(&step.name)?;
            let mut script = making.room(tree).script(&step.script);
            making.log.run("the command", &mut script, None)?;
        }
        let facts = Facts {
            origin: Origin::Build,
            mirror: self.source.mirror.clone(),
            snapshot: self.source.snapshot.clone(),
            recipe: self.recipe.clone(),
            input: Some(input),
            unless: None,
        };
        let made = making.finish(facts)?;
        let made = made.ok_or_else(|| Error::Usage("the build made nothing".to_owned()))?;
        Ok(Built::New(Box::new(made)))
    }

    fn needs(&self) -> Needs {
        source::needs(self.recipe, self.source.format())
    }

    /// The files to lay over, what identifies the build, and the version that has the same.
    fn prepare(&self, needs: &Needs) -> Result<(fs::File, Sha256, Option<ImageVersion>)> {
        atomic::private_folder(self.dir.root())?;
        let (files, laid) = lay::archive(self.dir.root(), self.recipe, self.source, &guest::files(needs.maker))?;
        // How many versions are kept does not make another.
        let recipe = serde_json::to_string(&Recipe { keep: 0, ..self.recipe.clone() }).map_err(std::io::Error::other)?;
        let packages = needs.packages.join(" ");
        let (mirror, snapshot) = (&self.source.mirror, &self.source.snapshot);
        let input = Sha256::of(format!("{METHOD}\n{recipe}\n{packages}\n{mirror} {snapshot}\n{laid}\n").as_bytes());
        let same = self.dir.list()?.into_iter().rev().find(|version| version.input == input);
        Ok((files, input, same))
    }
}

/// Says at once what is not installed, and that root is needed.
///
/// # Errors
/// [`Error::NotRoot`], [`Error::NoProgram`].
pub fn check_tools(programs: &[(&'static str, &'static str)]) -> Result<()> {
    // The owner of a process's folder in /proc is its effective user.
    if fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return Err(Error::NotRoot);
    }
    let folders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    for (program, package) in programs {
        if !folders.iter().any(|folder| Path::new(folder).join(program).is_file()) {
            return Err(Error::NoProgram { program, package });
        }
    }
    Ok(())
}
