//! The commands that people are told to type.
//!
//! Every sentence names those of the system's service and of root's Docker. Whoever has a Docker of their own has the
//! same ones with `--user` and without `sudo`, which would act on the system's; they are exchanged here, where all
//! advice passes, rather than written a second time in each sentence.

use std::borrow::Cow;

/// The system's, and a user's own.
const COMMANDS: [(&str, &str); 4] = [
    ("sudo systemctl ", "systemctl --user "),
    ("sudo journalctl ", "journalctl --user "),
    ("journalctl -u ", "journalctl --user -u "),
    ("sudo mirrorwatch ", "mirrorwatch "),
];

/// `text` as it is told to somebody whose Docker is their `own`, or root's.
pub fn to(own: bool, text: &str) -> Cow<'_, str> {
    if !own {
        return text.into();
    }
    COMMANDS.iter().fold(text.into(), |text: Cow<'_, str>, (system, user)| match text.contains(system) {
        true => text.replace(system, user).into(),
        false => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_docker_of_their_own_is_told_their_own_commands() {
        for (system, user) in [
            ("sudo mirrorwatch resume", "mirrorwatch resume"),
            (
                "sudo systemctl reload docker; or: sudo mirrorwatch apply",
                "systemctl --user reload docker; or: mirrorwatch apply",
            ),
            ("sudo journalctl -u docker -n 20", "journalctl --user -u docker -n 20"),
            ("journalctl -u mirrorwatch -n 50", "journalctl --user -u mirrorwatch -n 50"),
            ("type: sudo /opt/mirrorwatch pause", "type: sudo /opt/mirrorwatch pause"),
        ] {
            assert_eq!((to(true, system), to(false, system)), (user.into(), system.into()));
        }
    }
}
