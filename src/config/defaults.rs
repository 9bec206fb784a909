//! What holds where mirrors.toml is silent; the shipped file says the same, and a test compares them.

use std::time::Duration;

use super::{Budget, Enabled, Engine, Engines, Probe, ProxyChoice, Reload, Schedule, Select};

impl Default for Probe {
    fn default() -> Self {
        Self {
            images: vec!["library/busybox:latest".parse().expect("a constant that a test parses")],
            learn_images: true,
            connect_timeout: Duration::from_secs(3),
            timeout: Duration::from_secs(10),
            stall: Duration::from_secs(5),
            min_speed: 64 << 10,
            proxy: ProxyChoice::Engine,
            ca_file: None,
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(60),
            sample: Duration::from_secs(10 * 60),
            rehearse: Duration::from_secs(2 * 3600),
            decide: Duration::from_secs(10 * 60),
            confirm: Duration::from_secs(2),
            hold: Duration::from_secs(60 * 60),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            requests_per_minute: 10,
            requests_per_day: 400,
            refusals_per_2_days: 10,
            bytes_per_day: 24 << 20,
            total_bytes_per_day: 256 << 20,
            reloads_per_day: 12,
            share: 1,
        }
    }
}

impl Default for Select {
    fn default() -> Self {
        Self {
            max: 3,
            margin: 0.1,
            rounds: 3,
            fall: 3,
            rise: 2,
            compare_upstream: true,
            upstream_url: "https://registry-1.docker.io".parse().expect("a constant that a test parses"),
            groups: vec!["cn".to_owned(), "own".to_owned()],
        }
    }
}

impl Default for Engines {
    fn default() -> Self {
        let engine = |config_file: &str, socket: &str, unit: &str, pid_file: &str| Engine {
            enabled: Enabled::Auto,
            config_file: config_file.into(),
            socket: socket.into(),
            reload: Reload::Auto,
            unit: unit.to_owned(),
            pid_file: pid_file.into(),
            keep: Vec::new(),
            with_pending: false,
        };
        Self {
            docker: engine(
                "/etc/docker/daemon.json",
                "/var/run/docker.sock",
                "docker.service",
                "/var/run/docker.pid",
            ),
            containerd: engine(
                "/etc/containerd/certs.d/docker.io/hosts.toml",
                "/run/containerd/containerd.sock",
                "containerd.service",
                "/run/containerd/containerd.pid",
            ),
            podman: engine(
                "/etc/containers/registries.conf.d/50-mirrorwatch.conf",
                "/run/podman/podman.sock",
                "podman.service",
                "/run/podman/podman.pid",
            ),
            buildkit: engine(
                "/etc/buildkit/buildkitd.toml",
                "/run/buildkit/buildkitd.sock",
                "buildkit.service",
                "/run/buildkit/buildkitd.pid",
            ),
        }
    }
}
