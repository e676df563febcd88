use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use super::super::kind::Read;
use super::super::reader::UNSETTLED;
use super::*;
use crate::domain::checksum::Sha256;
use crate::repo::compress::Compression;

/// Packages that are text; the first line is their label.
struct Texts;

impl Kind for Texts {
    fn recipe(&self) -> String {
        "texts".to_owned()
    }
    fn parts(&self) -> usize {
        2
    }
    fn compression(&self) -> Compression {
        Compression::Gz
    }
    fn takes(&self, name: &str) -> bool {
        name.ends_with(".text")
    }
    fn read(&self, file: &Read<'_>, package: &mut dyn io::BufRead) -> std::result::Result<Told, String> {
        let mut text = String::new();
        package.read_to_string(&mut text).map_err(|error| error.to_string())?;
        if text.starts_with("bad") {
            return Err("is bad".to_owned());
        }
        Ok(Told { parts: vec![format!("{} {}\n", file.path, file.sha256).into_bytes(), text.clone().into_bytes()], label: text })
    }
}

struct Place {
    folder: tempfile::TempDir,
    store: ObjectStore,
}

impl Place {
    fn new(files: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectStore::open(folder.path().join("objects")).unwrap();
        let place = Self { folder, store };
        fs::create_dir(place.root()).unwrap();
        (0..files).for_each(|number| place.put(number, &format!("text {number}")));
        place
    }
    fn root(&self) -> PathBuf {
        self.folder.path().join("packages")
    }
    fn file(&self, number: usize) -> PathBuf {
        self.root().join(format!("{number:04}.text"))
    }
    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }
    /// A file that has been lying there for a while.
    fn put(&self, number: usize, text: &str) {
        fs::write(self.file(number), text).unwrap();
    }
    fn run(&self) -> Result<Indexed> {
        let (root, cache) = (self.root(), self.cache());
        Indexer { root: &root, kind: &Texts, store: Some(&self.store), cache: &cache, leave_out: false }
            .run(&scan::scan(&root, &|name| Texts.takes(name))?)
    }
    /// All texts of a part, and how many packages were read for them.
    fn texts(&self, part: usize) -> (String, u64) {
        let indexed = self.run().unwrap();
        let mut text = Vec::new();
        for number in 0..indexed.cache.blocks() {
            text.extend(super::super::old::unpack(&indexed.cache.packed(number, part).unwrap(), &Texts).unwrap());
        }
        (String::from_utf8(text).unwrap(), indexed.read)
    }
    /// Lets the clock pass the time in which a file may change without a later time.
    fn settle(&self) {
        std::thread::sleep(UNSETTLED + Duration::from_millis(20));
    }
}

#[test]
fn a_rebuild_reads_what_changed_and_gives_what_a_build_from_nothing_gives() {
    let place = Place::new(500);
    place.settle();
    assert_eq!(place.texts(1).1, 500);
    assert_eq!(place.texts(1).1, 0);
    place.put(7, "another");
    place.put(900, "new");
    fs::remove_file(place.file(400)).unwrap();
    let (text, read) = place.texts(0);
    assert_eq!(read, 2);
    fs::remove_file(place.cache()).unwrap();
    assert_eq!(place.texts(0).0, text);
    assert_eq!(text.lines().count(), 500);
}

#[test]
fn a_directory_that_is_only_read_gives_the_same() {
    let place = Place::new(300);
    let expected = place.texts(0).0;
    fs::remove_file(place.cache()).unwrap();
    place.settle();
    let (root, cache) = (place.root(), place.cache());
    let run = || {
        let indexer = Indexer { root: &root, kind: &Texts, store: None, cache: &cache, leave_out: false };
        indexer.run(&scan::scan(&root, &|name| Texts.takes(name)).unwrap()).unwrap()
    };
    let text = |indexed: &Indexed| {
        let unpack = |packed: &_| super::super::old::unpack(packed, &Texts);
        let texts = (0..indexed.cache.blocks()).map(|number| indexed.cache.text(number, 0, unpack).unwrap().plain.clone());
        String::from_utf8(texts.collect::<Vec<_>>().concat()).unwrap()
    };
    let first = run();
    assert_eq!((first.read, text(&first)), (300, expected.clone()));
    let second = run();
    assert_eq!((second.read, text(&second)), (0, expected));
    // One of a pair is known, the other is not; most blocks are carried over.
    place.put(150, "another");
    let third = run();
    assert_eq!(third.read, 1);
    fs::remove_file(&cache).unwrap();
    assert_eq!(text(&third), text(&run()));
}

#[test]
fn a_file_rewritten_in_place_with_its_old_size_and_time_is_read_again() {
    let place = Place::new(20);
    place.settle();
    place.texts(0);
    let time = fs::metadata(place.file(3)).unwrap().modified().unwrap();
    place.put(3, "tExT 3");
    File::options().write(true).open(place.file(3)).unwrap().set_modified(time).unwrap();
    let (text, read) = place.texts(1);
    assert!(read == 1 && text.contains("tExT 3"), "{read} {text}");
}

#[test]
fn a_file_that_changed_just_now_is_not_believed_the_next_time() {
    let place = Place::new(20);
    assert_eq!(place.texts(0).1, 20);
    place.settle();
    assert_eq!(place.texts(0).1, 20);
    assert_eq!(place.texts(0).1, 0);
}

#[test]
fn a_damaged_or_foreign_cache_is_as_good_as_none() {
    let place = Place::new(100);
    place.settle();
    let good = place.texts(0).0;
    let bytes = fs::read(place.cache()).unwrap();
    for at in [0, bytes.len() / 3, bytes.len() / 2, bytes.len() - 20] {
        let mut bad = bytes.clone();
        bad[at] ^= 0x55;
        fs::write(place.cache(), bad).unwrap();
        assert_eq!(place.texts(0).0, good);
    }
    fs::write(place.cache(), "something else").unwrap();
    assert_eq!(place.texts(0), (good, 100));
}

#[test]
fn a_copy_that_was_lost_is_made_again() {
    let place = Place::new(20);
    place.settle();
    place.texts(0);
    let object = place.store.path(Sha256::of(b"text 5"));
    fs::remove_file(&object).unwrap();
    assert_eq!(place.texts(0).1, 1);
    assert_eq!(fs::read(&object).unwrap(), b"text 5");
}

#[test]
fn every_file_that_is_no_package_is_named_or_left_out() {
    let place = Place::new(20);
    place.put(3, "bad");
    place.put(9, "bad too");
    let told = place.run().unwrap_err().to_string();
    assert!(told.contains("0003.text: is bad") && told.contains("0009.text: is bad"), "{told}");
    let (root, cache) = (place.root(), place.cache());
    let found = scan::scan(&root, &|name| Texts.takes(name)).unwrap();
    let indexed = Indexer { root: &root, kind: &Texts, store: None, cache: &cache, leave_out: true }.run(&found).unwrap();
    assert_eq!((indexed.left_out.len(), indexed.cache.entries()), (2, 18));
}
