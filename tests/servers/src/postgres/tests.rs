use super::*;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Stdio;

fn is_listening(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[test]
fn a_server_keeps_its_data_over_a_restart_and_goes_with_its_owner() {
    let settings = vec![("work_mem".into(), "5MB".into())];
    let server =
        Postgres::start(PostgresOptions { fsync: true, settings, ..PostgresOptions::default() });
    let database = server.create_database();
    server.sql(&database, "CREATE TABLE t (x int)");
    server.sql(&database, "INSERT INTO t VALUES (7)");
    assert_eq!(
        server.sql(
            &database,
            "SELECT x, current_setting('work_mem'), current_setting('fsync') FROM t"
        ),
        "7|5MB|on"
    );
    for stop in [Postgres::stop_immediately, Postgres::kill] {
        stop(&server);
        assert!(!is_listening(server.port));
        server.restart();
        assert_eq!(server.sql(&database, "SELECT x FROM t"), "7");
    }
    let copy = server.copy_database(&database);
    assert_eq!(server.sql(&copy, "SELECT x FROM t"), "7");
    server.drop_database(&copy);
    let (folder, port) = (server.folder.path().to_path_buf(), server.port);
    drop(server);
    assert!(!folder.exists() && !is_listening(port));
}

/// This test runs itself in another process, which is killed while it has a server.
#[test]
fn a_server_ends_with_a_process_that_is_killed() {
    const INNER: &str = "WASMILL_TEST_INNER";
    if std::env::var_os(INNER).is_some() {
        let server = shared();
        println!("server {} {}", server.port, server.folder.path().display());
        std::thread::park();
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args([
        "--exact",
        "postgres::tests::a_server_ends_with_a_process_that_is_killed",
        "--nocapture",
    ]);
    let mut inner = command.env(INNER, "1").stdout(Stdio::piped()).spawn().expect("this program");
    let mut lines =
        BufReader::new(inner.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let line = lines
        .find_map(|line| line.split_once("server ").map(|(_, rest)| rest.to_owned()))
        .expect("its server");
    let (port, folder) = line.split_once(' ').expect("port and folder");
    let (port, folder) = (port.parse().expect("a port"), PathBuf::from(folder));
    assert!(is_listening(port) && folder.is_dir());
    inner.kill().expect("killed");
    inner.wait().expect("ended");
    eventually("the server ends", 10, || (!is_listening(port)).then_some(()));
    eventually("its folder goes", 20, || (!folder.exists()).then_some(()));
}
