//! Many who write at once: tasks, processes, those who fail, go away, are killed, or find the disk full.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::tests::{NOW, fresh, mac, name, node, order};
use super::*;
use crate::store::Error;

#[tokio::test]
async fn many_can_make_the_same_state_at_the_same_moment() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("state.db");
    let opened = futures::future::join_all((0..8).map(|_| SqliteStore::open(&path))).await;
    for store in opened {
        assert_eq!(store.unwrap().nodes().await.unwrap(), []);
    }
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| name.to_string_lossy().starts_with("state.db")), "{left:?}");
}

/// Runs `a_process_of_its_own` in one: it writes leases for the addresses of `block` and prints each after it is written.
fn writer(path: &Path, block: u8, count: u8) -> std::process::Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::sqlite::sharing_tests::a_process_of_its_own", "--ignored", "--nocapture"])
        .env("KICKCTL_TEST_STATE", path)
        .env("KICKCTL_TEST_BLOCK", block.to_string())
        .env("KICKCTL_TEST_COUNT", count.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "started by other tests as a second process"]
async fn a_process_of_its_own() {
    let number = |name| std::env::var(name).unwrap().parse::<u8>().unwrap();
    let (block, count) = (number("KICKCTL_TEST_BLOCK"), number("KICKCTL_TEST_COUNT"));
    let store = SqliteStore::open(Path::new(&std::env::var("KICKCTL_TEST_STATE").unwrap())).await.unwrap();
    for n in 0..count {
        let address = Ipv4Addr::new(10, 0, block, n);
        store.put_lease(&Lease { mac: MacAddr::new([2, 0, 0, 0, block, n]), address, expires: NOW }).await.unwrap();
        println!("\nwrote {address}");
    }
}

fn written(output: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(output).lines().filter_map(|line| line.strip_prefix("wrote ")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn processes_and_tasks_write_at_once_and_none_finds_it_locked() {
    let (folder, store) = fresh().await;
    let path = folder.path().join("state.db");
    let children = [writer(&path, 1, 100), writer(&path, 2, 100)];
    let own = (0..100).map(|n| {
        let store = store.clone();
        tokio::spawn(async move {
            let address = Ipv4Addr::new(10, 0, 0, n);
            store.put_lease(&Lease { mac: mac(n.into()), address, expires: NOW }).await?;
            store.leases().await.map(|_| ())
        })
    });
    for task in futures::future::join_all(own).await {
        task.unwrap().unwrap();
    }
    for child in children {
        let output = tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    assert_eq!(store.leases().await.unwrap().len(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_process_had_written_is_there() {
    use std::io::{BufRead, BufReader, Read};
    let (folder, store) = fresh().await;
    store.close().await;
    let path = folder.path().join("state.db");
    let mut child = writer(&path, 1, 255);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut told = vec![];
    while written(&told).len() < 10 {
        assert!(output.read_until(b'\n', &mut told).unwrap() > 0, "it ended before it was killed");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    output.read_to_end(&mut told).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let held: BTreeSet<String> = store.leases().await.unwrap().iter().map(|lease| lease.address.to_string()).collect();
    assert!(written(&told).iter().all(|address| held.contains(address)), "{told:?} {held:?}");
    assert!(matches!(store.attempt(1).await, Ok(None)));
}

#[tokio::test]
async fn of_writes_that_share_a_commit_each_is_whole_or_not_there() {
    let (_folder, store) = fresh().await;
    let add = |number: u16| {
        let store = store.clone();
        async move {
            // Every third one is a node whose address somebody has already, and is refused after a part of it was written.
            let mut node = node(&format!("n{number}"), number);
            if number.is_multiple_of(3) {
                node.macs = vec![mac(900 + number), mac(1)];
            }
            store.add_nodes(&[node]).await.is_ok()
        }
    };
    assert!(add(1).await);
    let added = futures::future::join_all((2..=40).map(add)).await;
    assert_eq!(added.iter().filter(|done| !**done).count(), 13);
    assert_eq!(store.nodes().await.unwrap().len(), 1 + 26);
    assert_eq!(store.node_by_mac(mac(903)).await.unwrap(), None);
}

#[tokio::test]
async fn a_writer_whose_caller_goes_away_takes_nobody_with_it() {
    let (_folder, store) = fresh().await;
    for polls in 0..40 {
        let (gone, stays) = (node(&format!("gone{polls}"), 2 * polls + 1), node(&format!("stays{polls}"), 2 * polls + 2));
        let (gone, stays) = ([gone], [stays]);
        let cut = async {
            let mut adding = std::pin::pin!(store.add_nodes(&gone));
            for _ in 0..polls {
                if futures::poll!(adding.as_mut()).is_ready() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_micros(100)).await;
            }
        };
        let ((), added) = tokio::join!(cut, store.add_nodes(&stays));
        added.unwrap();
    }
    let names: Vec<String> = store.nodes().await.unwrap().iter().map(|node| node.name.to_string()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("stays")).count(), 40, "{names:?}");
    for polls in 0..40 {
        let by_mac = store.node_by_mac(mac(2 * polls + 1)).await.unwrap().map(|node| node.name.to_string());
        let there = names.contains(&format!("gone{polls}")).then(|| format!("gone{polls}"));
        assert_eq!(by_mac, there, "wholly there, or wholly not");
    }
}

/// Keeps the thread that writes busy until it is told to go on, so that what is asked meanwhile shares a commit.
fn hold(store: &SqliteStore) -> (impl Future<Output = Result<()>> + use<>, std::sync::mpsc::Sender<()>) {
    let (go, wait) = std::sync::mpsc::channel();
    let store = store.clone();
    (async move { store.write(move |_| wait.recv().map_err(|_| closed())).await }, go)
}

#[tokio::test]
async fn of_many_writers_who_fails_panics_or_goes_away_takes_nobody_with_it() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("first", 1)]).await.unwrap();
    let (held, go) = hold(&store);
    let mut held = std::pin::pin!(held);
    assert!(futures::poll!(held.as_mut()).is_pending());
    let many: Vec<Node> = (10..60).map(|number| node(&format!("n{number}"), number)).collect();
    let mut adding: Vec<_> = many.iter().map(|node| Box::pin(store.add_nodes(std::slice::from_ref(node)))).collect();
    for asked in &mut adding {
        assert!(futures::poll!(asked.as_mut()).is_pending());
    }
    drop(adding.remove(7));
    let taken = [Node { macs: vec![mac(900), mac(1)], ..node("fails", 2) }];
    let fails = store.add_nodes(&taken);
    let panics = store.write(|at| -> std::result::Result<(), Fault> {
        nodes::change(at, &[node("panics", 3)], &[])?;
        panic!("this is a test")
    });
    let release = async { go.send(()).unwrap() };
    let (held, added, failed, panicked, ()) = tokio::join!(held, futures::future::join_all(adding), fails, panics, release);
    held.unwrap();
    assert!(added.iter().all(|done| done.is_ok()), "{added:?}");
    assert!(matches!(failed, Err(Error::Taken { .. })), "{failed:?}");
    assert!(panicked.unwrap_err().to_string().contains("a fault in kickctl"));
    let expected: Vec<NodeName> = [name("first")].into_iter().chain(many.into_iter().map(|node| node.name)).collect();
    let there: Vec<NodeName> = store.nodes().await.unwrap().into_iter().map(|node| node.name).collect();
    assert_eq!(there, expected.into_iter().filter(|node| *node != name("n17")).collect::<Vec<_>>());
}

#[tokio::test]
async fn when_the_disk_is_full_nobody_is_told_that_it_was_written() {
    let (_folder, store) = fresh().await;
    let lease = |last| Lease { mac: mac(last), address: Ipv4Addr::from(0x0a00_0000 + u32::from(last)), expires: NOW };
    store.put_lease(&lease(1)).await.unwrap();
    // SQLite takes the size of now for the smallest that is possible.
    store.write(|at| Ok(at.execute_batch("PRAGMA max_page_count = 1")?)).await.unwrap();
    let (held, go) = hold(&store);
    let (before, after) = (lease(2), lease(3));
    let large = store.write(|at| {
        let sql = "INSERT INTO group_variables (name, variables) VALUES ('large', ?1)";
        rows::execute(at, sql, ["x".repeat(1 << 20)])
    });
    let release = async { go.send(()).unwrap() };
    let (held, before, large, after, ()) = tokio::join!(held, store.put_lease(&before), large, store.put_lease(&after), release);
    assert!(large.unwrap_err().to_string().contains("full"));
    // SQLite rolls back all that shared the transaction, and whoever comes after is in another.
    for told in [held.unwrap_err(), before.unwrap_err()] {
        assert!(told.to_string().contains("roll back all of it"), "{told}");
    }
    after.unwrap();
    assert_eq!(store.leases().await.unwrap(), [lease(1), lease(3)]);
    store.write(|at| Ok(at.execute_batch("PRAGMA max_page_count = 100000")?)).await.unwrap();
    store.put_lease(&lease(4)).await.unwrap();
    assert!(store.leases().await.unwrap().contains(&lease(4)));
}

#[tokio::test]
async fn what_was_asked_before_closing_is_kept_in_one_file_and_later_asking_fails() {
    let (folder, store) = fresh().await;
    let (held, go) = hold(&store);
    let nodes = [node("a", 1)];
    let release = async { go.send(()).unwrap() };
    let (held, added, (), ()) = tokio::join!(held, store.add_nodes(&nodes), store.close(), release);
    held.unwrap();
    added.unwrap();
    let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["state.db"]);
    for told in
        [store.node(&nodes[0].name).await.unwrap_err(), store.nodes().await.unwrap_err(), store.add_nodes(&nodes).await.unwrap_err()]
    {
        assert!(told.to_string().ends_with("state.db: it is closed already"), "{told}");
    }
    store.close().await;
    let again = SqliteStore::open(&folder.path().join("state.db")).await.unwrap();
    assert_eq!(again.nodes().await.unwrap(), nodes);
}

#[tokio::test]
async fn what_a_write_was_refused_for_is_there_for_who_reads_again() {
    let (_folder, store) = fresh().await;
    store.add_nodes(&[node("a", 1)]).await.unwrap();
    let attempt = store.arm(&name("a"), &order(), NOW).await.unwrap();
    let (held, go) = hold(&store);
    let (mut held, more) = (std::pin::pin!(held), hold(&store));
    assert!(futures::poll!(held.as_mut()).is_pending());
    let (mut first, mut stale) = (Box::pin(store.save_attempt(&attempt, &[])), Box::pin(store.save_attempt(&attempt, &[])));
    let mut last = std::pin::pin!(more.0);
    for asked in [&mut first, &mut stale] {
        assert!(futures::poll!(asked.as_mut()).is_pending());
    }
    assert!(futures::poll!(last.as_mut()).is_pending());
    go.send(()).unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    // Both were done, and the transaction is still open.
    assert!(futures::poll!(stale.as_mut()).is_pending());
    assert_eq!(store.attempt(attempt.id).await.unwrap().unwrap().revision, 1);
    more.1.send(()).unwrap();
    assert!(matches!(stale.await, Err(Error::Stale(_))));
    assert_eq!(store.attempt(attempt.id).await.unwrap().unwrap().revision, 2);
    first.await.unwrap();
}

/// A state that another connection has locked, and that waits so long for it.
async fn locked(limit: std::time::Duration) -> (TempDir, SqliteStore, rusqlite::Connection) {
    let (folder, store) = fresh().await;
    store.write(move |at| Ok(at.busy_timeout(limit)?)).await.unwrap();
    let other = connect(&folder.path().join("state.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    (folder, store, other)
}

#[tokio::test]
async fn a_lock_that_is_not_given_back_makes_all_who_wait_fail_together() {
    let (_folder, store, other) = locked(std::time::Duration::from_millis(300)).await;
    let nodes: Vec<[Node; 1]> = (1..40).map(|number| [node(&format!("n{number}"), number)]).collect();
    let begun = std::time::Instant::now();
    for told in futures::future::join_all(nodes.iter().map(|node| store.add_nodes(node))).await {
        assert!(told.unwrap_err().to_string().contains("locked"));
    }
    // One after the other they would wait for twelve seconds.
    assert!(begun.elapsed() < std::time::Duration::from_secs(6));
    other.execute_batch("ROLLBACK").unwrap();
    store.add_nodes(&nodes[0]).await.unwrap();
}

/// Keeps whoever wakes it until `go` comes.
struct Kept(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl std::task::Wake for Kept {
    fn wake(self: Arc<Self>) {
        let _ = self.0.lock().unwrap().recv_timeout(std::time::Duration::from_secs(60));
    }
}

#[tokio::test]
async fn who_asks_anew_while_the_others_are_told_is_not_refused_with_them() {
    let (_folder, store, other) = locked(std::time::Duration::from_secs(2)).await;
    let (first, second, anew) = ([node("first", 1)], [node("second", 2)], [node("anew", 3)]);
    let (go, wait) = std::sync::mpsc::channel();
    let kept = std::task::Waker::from(Arc::new(Kept(wait.into())));
    let (mut first, mut second) = (std::pin::pin!(store.add_nodes(&first)), std::pin::pin!(store.add_nodes(&second)));
    assert!(futures::poll!(first.as_mut()).is_pending());
    // The thread that writes tells the first, and then is kept when it tells the second.
    assert!(second.as_mut().poll(&mut std::task::Context::from_waker(&kept)).is_pending());
    assert!(first.await.unwrap_err().to_string().contains("locked"));
    other.execute_batch("ROLLBACK").unwrap();
    let mut anew = std::pin::pin!(store.add_nodes(&anew));
    assert!(futures::poll!(anew.as_mut()).is_pending());
    go.send(()).unwrap();
    anew.await.unwrap();
    assert!(second.await.unwrap_err().to_string().contains("locked"));
}
