//! Attacks in numbers: they cost little memory, no thread and no descriptor that stays, and afterwards everything is as
//! before. How long others wait meanwhile is measured by `cargo bench --bench house -- attack`.

use crate::harness::{
    PATIENCE, Server, Wire,
    attack::{ATTACKS, Look, open_many_files, time_of_a_request},
    emulation::leaves_out_measures,
    picture,
    server::{Directory, PASSWORD},
    together,
};
use serde_json::json;
use std::{
    fs,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// What an attack may add to the process's memory, in KiB.
const MOST_MEMORY: u64 = 32 << 10;
/// The loop, the store, two workers, and one that has just begun or is about to end.
const MOST_THREADS: u64 = 5;

/// Looks at the server before, during and after something bad.
#[track_caller]
fn endured<T>(server: &Server, name: &str, attack: impl FnOnce(SocketAddr) -> T) {
    let process = server.process_id();
    if leaves_out_measures() {
        // What is left to see is that it lives on.
        drop(attack(server.address()));
        server.nobody().get("/api/health").ok();
        return;
    }
    // What is opened once and for all, by the first turns of the loop and the first request, is open then.
    assert!(time_of_a_request(server.address()).is_some(), "{name}: nobody is answered before");
    Look::forget(process);
    let before = Look::at(process);
    let over = AtomicBool::new(false);
    let (held, threads) = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let mut threads = 0;
            while !over.load(Ordering::Relaxed) {
                threads = threads.max(Look::at(process).threads);
                std::thread::sleep(Duration::from_millis(2));
            }
            threads
        });
        let held = catch_unwind(AssertUnwindSafe(|| attack(server.address())));
        over.store(true, Ordering::Relaxed);
        (held, watcher.join().expect("only looks"))
    });
    let held = held.unwrap_or_else(|panic| resume_unwind(panic));
    let during = Look::at(process);
    drop(held);
    let after = Look::settled(process, &before);
    let grown = after.highest.max(during.highest).saturating_sub(before.resident);
    assert!(grown <= MOST_MEMORY, "{name}: {grown} KiB more; {before:?}, {during:?}, {after:?}");
    assert!(threads <= MOST_THREADS, "{name}: {threads} threads");
    assert!(after.descriptors <= before.descriptors, "{name}: descriptors stay; {before:?}, {after:?}");
    assert!(time_of_a_request(server.address()).is_some(), "{name}: nobody is answered afterwards");
}

#[test]
fn nothing_a_stranger_sends_fills_memory_threads_or_descriptors() {
    open_many_files();
    let server = Server::setup().open().limit("address_requests_per_minute", 1_000_000_000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    for (name, attack) in ATTACKS {
        endured(&server, name, attack);
    }
    assert_eq!(ann.thoughts_in(&home), ["before"]);
}

#[test]
fn twelve_logins_at_once_cost_the_memory_of_one() {
    let server = Server::setup().limit("logins_per_minute", 1000).limit("login_failures", 1000).start();
    server.add_user("Ann", &[]);
    endured(&server, "twelve logins", |_| {
        together(12, |number| {
            let password = if number % 2 == 0 { PASSWORD } else { "wrong" };
            let reply =
                server.nobody().post("/api/login", json!({ "username": "Ann", "password": password }));
            assert_eq!(reply.status, if number % 2 == 0 { 200 } else { 401 }, "{reply:?}");
        });
    });
}

#[test]
fn pictures_that_claim_to_be_huge_cost_nothing() {
    let server = Server::setup().open().limit("pictures_per_minute", 1000).start();
    let ann = server.person("Ann");
    let bombs = [
        picture::png_that_claims(60_000, 60_000),
        picture::png_that_claims(u32::MAX, u32::MAX),
        picture::png_that_claims(5_000, 5_000),
        picture::jpeg_that_claims(65_535, 65_535),
        picture::png(300, 300),
        picture::jpeg(600, 600),
        b"\x89PNG\r\n\x1a\n".repeat(1000),
        b"\xff\xd8\xff".repeat(100_000),
    ];
    endured(&server, "bombs", |_| {
        let devices: Vec<_> = (0..2).map(|_| ann.twin()).collect();
        together(2, |index| {
            for bomb in &bombs {
                let reply = devices[index].upload(
                    "/api/auth/user/profile-picture",
                    "profilePicture",
                    "image/png",
                    bomb,
                );
                assert!(matches!(reply.status, 200 | 400 | 413), "{reply:?}");
            }
        });
    });
}

#[test]
fn a_large_app_that_nobody_takes_is_in_memory_once() {
    open_many_files();
    let web = Directory::new();
    fs::write(web.0.join("index.html"), "<!doctype html><title>the app</title>").unwrap();
    fs::write(web.0.join("app.js"), vec![b' '; 6 << 20]).unwrap();
    let server = Server::setup()
        .open()
        .with(["--web", web.0.to_str().unwrap()])
        .limit("address_requests_per_minute", 1_000_000_000)
        .start();
    endured(&server, "200 times 6 MiB that nobody reads", |address| {
        let ask = |_| {
            let mut wire = Wire::open(address);
            wire.take_little();
            wire.send("GET /app.js HTTP/1.1\r\nHost: x\r\n\r\n");
            wire
        };
        let wires: Vec<Wire> = (0..200).map(ask).collect();
        // All of them are being answered.
        for wire in &wires {
            assert_eq!(Wire::wait_for_any([wire], PATIENCE), [true]);
        }
        wires
    });
    assert_eq!(server.nobody().get("/app.js").body.len(), 6 << 20);
}
