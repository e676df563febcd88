//! Package files made byte by byte, for headers that no builder would write: bytes that are no UTF-8, tags of other decades, 64-bit sizes.

/// The value of a tag.
#[derive(Clone)]
pub enum Value {
    /// Type 3.
    Int16(Vec<u16>),
    /// Type 4.
    Int32(Vec<u32>),
    /// Type 5.
    Int64(Vec<u64>),
    /// Type 6.
    Text(Vec<u8>),
    /// Type 8.
    Texts(Vec<Vec<u8>>),
    /// Type 9.
    Translated(Vec<Vec<u8>>),
}

/// One text.
pub fn text(text: impl AsRef<[u8]>) -> Value {
    Value::Text(text.as_ref().to_vec())
}

/// Several texts.
pub fn texts<T: AsRef<[u8]>>(texts: impl IntoIterator<Item = T>) -> Value {
    Value::Texts(texts.into_iter().map(|text| text.as_ref().to_vec()).collect())
}

/// A package file: tags of the header and of the signature header; the payload is missing.
#[derive(Clone)]
pub struct RpmFile {
    /// Tags of the header.
    pub header: Vec<(u32, Value)>,
    /// Tags of the signature header.
    pub signature: Vec<(u32, Value)>,
    /// What the lead says.
    pub is_source: bool,
}

impl RpmFile {
    /// With the tags that every binary package has.
    pub fn new(name: &str, version: &str, release: &str, arch: &str) -> Self {
        let header = vec![
            (1000, text(name)),
            (1001, text(version)),
            (1002, text(release)),
            (1004, Value::Translated(vec![b"A summary".to_vec()])),
            (1005, Value::Translated(vec![b"A description".to_vec()])),
            (1006, Value::Int32(vec![1_600_000_000])),
            (1007, text("build.example.com")),
            (1009, Value::Int32(vec![4711])),
            (1014, text("MIT")),
            (1016, Value::Translated(vec![b"Unspecified".to_vec()])),
            (1021, text("linux")),
            (1022, text(arch)),
            (1044, text(format!("{name}-{version}-{release}.src.rpm"))),
        ];
        Self { header, signature: vec![(1007, Value::Int32(vec![8192]))], is_source: false }
    }

    /// Sets or replaces a tag of the header.
    pub fn with(mut self, tag: u32, value: Value) -> Self {
        self.header.retain(|(known, _)| *known != tag);
        self.header.push((tag, value));
        self
    }

    /// Removes a tag of the header.
    pub fn without(mut self, tag: u32) -> Self {
        self.header.retain(|(known, _)| *known != tag);
        self
    }

    /// Sets one kind of dependencies: names, flags, versions.
    pub fn with_dependencies(self, tags: (u32, u32, u32), entries: &[(&str, u32, &str)]) -> Self {
        self.with(tags.0, texts(entries.iter().map(|entry| entry.0)))
            .with(tags.1, Value::Int32(entries.iter().map(|entry| entry.1).collect()))
            .with(tags.2, texts(entries.iter().map(|entry| entry.2)))
    }

    /// Sets the files: folder with its slash, name, mode, flags.
    pub fn with_files(self, files: &[(&[u8], &[u8], u16, u32)]) -> Self {
        let mut folders: Vec<&[u8]> = files.iter().map(|file| file.0).collect();
        folders.dedup();
        let index = |folder: &[u8]| folders.iter().position(|known| *known == folder).unwrap() as u32;
        self.with(1116, Value::Int32(files.iter().map(|file| index(file.0)).collect()))
            .with(1117, texts(files.iter().map(|file| file.1)))
            .with(1118, texts(folders.iter()))
            .with(1030, Value::Int16(files.iter().map(|file| file.2).collect()))
            .with(1037, Value::Int32(files.iter().map(|file| file.3).collect()))
    }

    /// Sets the changelog, newest first: time, author, text.
    pub fn with_changelog(self, entries: &[(u32, &str, &str)]) -> Self {
        self.with(1080, Value::Int32(entries.iter().map(|entry| entry.0).collect()))
            .with(1081, texts(entries.iter().map(|entry| entry.1)))
            .with(1082, texts(entries.iter().map(|entry| entry.2)))
    }

    /// The file's bytes.
    pub fn bytes(&self) -> Vec<u8> {
        let mut file = vec![0xed, 0xab, 0xee, 0xdb, 3, 0, 0, u8::from(self.is_source), 0, 1];
        file.resize(76, b'n');
        file.extend([0, 1, 0, 5]);
        file.resize(96, 0);
        file.extend(block(&self.signature, 62));
        file.resize(file.len().next_multiple_of(8), 0);
        file.extend(block(&self.header, 63));
        file
    }
}

/// A header whose region tag makes it an immutable one, as rpm 4 and newer write it.
fn block(tags: &[(u32, Value)], region: u32) -> Vec<u8> {
    let mut tags: Vec<_> = tags.to_vec();
    tags.sort_by_key(|(tag, _)| *tag);
    let (mut index, mut store) = (vec![], vec![]);
    let entry = |index: &mut Vec<u8>, parts: [u32; 4]| index.extend(parts.iter().flat_map(|part| part.to_be_bytes()));
    let count = tags.len() as u32 + 1;
    for (tag, value) in &tags {
        let width = match value {
            Value::Int16(_) => 2,
            Value::Int32(_) => 4,
            Value::Int64(_) => 8,
            _ => 1,
        };
        store.resize(store.len().next_multiple_of(width), 0);
        let offset = store.len() as u32;
        let (kind, count) = match value {
            Value::Int16(numbers) => (3, numbers.len()),
            Value::Int32(numbers) => (4, numbers.len()),
            Value::Int64(numbers) => (5, numbers.len()),
            Value::Text(_) => (6, 1),
            Value::Texts(texts) => (8, texts.len()),
            Value::Translated(texts) => (9, texts.len()),
        };
        match value {
            Value::Int16(numbers) => store.extend(numbers.iter().flat_map(|number| number.to_be_bytes())),
            Value::Int32(numbers) => store.extend(numbers.iter().flat_map(|number| number.to_be_bytes())),
            Value::Int64(numbers) => store.extend(numbers.iter().flat_map(|number| number.to_be_bytes())),
            Value::Text(text) => store.extend(text.iter().chain([&0])),
            Value::Texts(texts) | Value::Translated(texts) => texts.iter().for_each(|text| store.extend(text.iter().chain([&0]))),
        }
        entry(&mut index, [*tag, kind, offset, count as u32]);
    }
    let mut head = vec![];
    entry(&mut head, [region, 7, store.len() as u32, 16]);
    // The region's trailer: an entry whose offset says how long the index is, as a negative number.
    entry(&mut store, [region, 7, (count * 16).wrapping_neg(), 16]);
    let mut block = vec![0x8e, 0xad, 0xe8, 1, 0, 0, 0, 0];
    block.extend(count.to_be_bytes());
    block.extend((store.len() as u32).to_be_bytes());
    block.extend(head);
    block.extend(index);
    block.extend(store);
    block
}
