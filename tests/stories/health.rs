//! How the server says that it is well.

use crate::harness::{Server, check};
use serde_json::Value;

fn sockets(health: &Value, counter: &str) -> i64 {
    health["ws"][counter].as_i64().unwrap_or_else(|| panic!("{counter} in {health}"))
}

#[test]
fn r_t5_health_is_public() {
    let server = Server::strict();
    let nobody = server.nobody();
    for path in ["/api/health", "/health"] {
        let reply = nobody.get(path);
        let health = reply.ok();
        assert_eq!(
            (&health["ok"], &health["status"], &health["db"]),
            (&true.into(), &"ok".into(), &"ok".into())
        );
        assert!(health["dbLatencyMs"].is_number(), "{health}");
        assert!(health["uptime"].is_number() && health["version"].is_string(), "{health}");
        // What is built for one architecture and tested on another by an emulator must be what it is taken for.
        let arch = std::env::var("DEUCED_EXPECT_ARCH").unwrap_or(std::env::consts::ARCH.into());
        assert_eq!(health["arch"], *arch);
        check::time(&health["timestamp"]);
        for counter in [
            "activeConnections",
            "totalConnections",
            "failedAuthentications",
            "gracefulDisconnects",
            "forcedDisconnects",
        ] {
            assert_eq!(sockets(&health, counter), 0, "{counter}");
        }
        let head = nobody.request("HEAD", path).send();
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
}

#[test]
fn health_counts_sockets() {
    let server = Server::open();
    let ann = server.person("Ann");
    let health = || server.nobody().get("/api/health").ok();
    let (mut first, _second) = (ann.socket(), ann.socket());
    ann.handshake().header("Cookie", "deuced=nonsense").refused(401);
    let now = health();
    assert_eq!((sockets(&now, "activeConnections"), sockets(&now, "totalConnections")), (2, 2));
    assert_eq!(sockets(&now, "failedAuthentications"), 1);

    first.send_raw(&crate::harness::socket::frame(8, &1000_u16.to_be_bytes()));
    first.expect_close(1000);
    let now = health();
    assert_eq!((sockets(&now, "activeConnections"), sockets(&now, "gracefulDisconnects")), (1, 1));
    assert_eq!(sockets(&now, "totalConnections"), 2);
}
