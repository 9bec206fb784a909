//! The signs of real pulls, for 30 days.

use std::time::Duration;

use rusqlite::{Connection, Row, params};

use super::{Store, row};
use crate::json;
use crate::pull::{Seen, Sign};
use crate::timestamp::Timestamp;

/// So long signs are kept.
const KEPT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// And no more than so many: a log that repeats itself must not fill the disk. Some 200 bytes each.
const MOST: u32 = 10_000;

impl Store {
    /// Keeps a sign of a real pull.
    pub fn save_sign(&self, sign: &Sign) {
        self.latest.set(self.latest.get().max(sign.at));
        let Ok(json) = json::to_string(&sign.seen) else { return };
        self.write(|connection| {
            connection
                .prepare_cached("INSERT INTO pulls (at, seen, url, json) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![
                    row::time(sign.at),
                    word(&sign.seen),
                    sign.seen.url().map(|url| url.as_str()),
                    json
                ])?;
            let last = connection.last_insert_rowid();
            connection
                .prepare_cached("DELETE FROM pulls WHERE id <= ?1 - ?2")?
                .execute(params![last, MOST])?;
            Ok(())
        });
    }

    /// The signs since then, the oldest first.
    pub fn signs_since(&self, since: Timestamp) -> Vec<Sign> {
        self.read(
            "SELECT at, json FROM pulls WHERE at >= ?1 ORDER BY at, id",
            params![row::time(since)],
            sign,
        )
    }
}

pub(super) fn tidy(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection.execute("DELETE FROM pulls WHERE at < ?1", [row::time(now - KEPT)])?;
    Ok(())
}

fn sign(row: &Row<'_>) -> Option<Sign> {
    let at = row.get::<_, String>("at").ok()?.parse().ok()?;
    let seen = serde_json::from_str(&row.get::<_, String>("json").ok()?).ok()?;
    Some(Sign { at, seen })
}

/// The public word.
fn word(seen: &Seen) -> &'static str {
    match seen {
        Seen::Left { .. } => "left",
        Seen::Silent { .. } => "silent",
        Seen::Crawling { .. } => "crawling",
        Seen::Served { .. } => "served",
        Seen::Doubtful { .. } => "doubtful",
        Seen::Absent { .. } => "absent",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mirror::MirrorUrl;

    #[test]
    fn signs_come_back_in_their_order_and_are_kept_for_thirty_days() {
        let directory = tempfile::tempdir().unwrap();
        let start = Timestamp::from_millis(1_795_176_000_123);
        let (store, _) = Store::open(directory.path(), start);
        let url: MirrorUrl = "https://a.example".parse().unwrap();
        let day = Duration::from_secs(24 * 3600);
        let served = Seen::Served { url, bytes: 7, bytes_per_second: Some(1.5) };
        let signs = [
            Sign { at: start, seen: Seen::Doubtful { detail: "500".to_owned() } },
            Sign { at: start + day, seen: served },
        ];
        signs.iter().for_each(|sign| store.save_sign(sign));
        assert_eq!(store.signs_since(start), signs);
        assert_eq!(store.signs_since(start + day), signs[1..]);
        store.tidy(start + KEPT + Duration::from_secs(1));
        assert_eq!(store.signs_since(Timestamp::default()), signs[1..]);
        drop(store);
        assert_eq!(Store::open_read_only(directory.path()).unwrap().signs_since(start), signs[1..]);
    }

    #[test]
    fn a_log_that_repeats_itself_does_not_fill_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let (store, _) = Store::open(directory.path(), Timestamp::default());
        let sign = Sign { at: Timestamp::default(), seen: Seen::Absent { detail: String::new() } };
        store.batch(|store| (0..MOST + 5).for_each(|_| store.save_sign(&sign)));
        assert_eq!(store.signs_since(Timestamp::default()).len(), usize::try_from(MOST).unwrap());
    }
}
