//! A piece of a layer: which one is asked for, whether the right one comes, and how fast.

use std::time::Duration;

use http::header::{CONTENT_RANGE, HeaderMap, RANGE};
use http::{HeaderValue, StatusCode};
use tokio::time::Instant;

use super::Limits;
use super::exchange::Answer;
use super::lanes::Lane;
use super::wrong::{Try, Wrong};
use crate::image::{Descriptor, Layers, Sum};
use crate::reason::FailureKind;

/// What a rehearsal reads of a layer; the product promises mirrors that it is never more.
pub(super) const REHEARSED: u64 = 1024 * 1024;

/// What a sample reads of a layer.
pub(super) const SAMPLED: u64 = 32 * 1024;

/// Layers of this size tell most: large enough for a speed, and small enough that a mirror which sleeps a second
/// per MiB before it begins (DaoCloud's published rule) begins within the time-out. The reference pull has
/// layers of 7.5 MiB.
const TELLING: std::ops::RangeInclusive<u64> = 32 * 1024..=8 * 1024 * 1024;

/// So many bytes are enough to judge a speed by, however short the time.
const ENOUGH_TO_JUDGE: u64 = 256 * 1024;

/// So many bytes are enough for a speed to be worth remembering.
const ENOUGH_TO_TELL: u64 = 64 * 1024;

/// Whether a layer has a size that tells something.
fn is_telling(layer: &Descriptor) -> bool {
    TELLING.contains(&layer.size)
}

/// What tells most sorts first: what has a telling size, then the smallest of the large, then the largest.
fn preference(layer: &Descriptor) -> (u8, u64) {
    match layer.size {
        _ if is_telling(layer) => (0, 0),
        size if size > *TELLING.end() => (1, size),
        size => (2, u64::MAX - size),
    }
}

/// Those that samples are taken of until the next rehearsal: the ones that tell most.
pub(super) fn worth_remembering(mut layers: Vec<Descriptor>) -> Layers {
    layers.sort_by_key(preference);
    layers.into()
}

/// Which bytes of which layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    pub(super) layer: &'a Descriptor,
    offset: u64,
    length: u64,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    /// When the first byte came.
    pub(super) first: Option<Instant>,
    first_bytes: u64,
    bytes: u64,
    /// From the first byte to the last.
    time: Duration,
}

impl<'a> Piece<'a> {
    /// Chooses by turns: another layer each time, and when all had theirs, another place in them. `None` when the
    /// image has no layer that a mirror would serve.
    pub(super) fn choose(layers: &'a [Descriptor], turn: u64, length: u64) -> Option<Self> {
        // A rehearsal must come back with a speed, and no small layer gives one.
        let tells_speed = |layer: &Descriptor| layer.size >= 2 * ENOUGH_TO_TELL || length <= SAMPLED;
        let mut telling: Vec<&Descriptor> = layers.iter().filter(|layer| is_telling(layer)).collect();
        if telling.iter().any(|layer| tells_speed(layer)) {
            telling.retain(|layer| tells_speed(layer));
        }
        let layer = match u64::try_from(telling.len()) {
            Ok(count) if count > 0 => telling[usize::try_from(turn % count).unwrap_or_default()],
            Ok(_) | Err(_) => layers.iter().min_by_key(|layer| preference(layer))?,
        };
        let length = length.min(layer.size);
        if length == 0 {
            return None;
        }
        let round = turn / u64::try_from(telling.len().max(1)).unwrap_or(1);
        let offset = (round % (layer.size / length)) * length;
        Some(Self { layer, offset, length })
    }

    /// Adds the range, unless it is the whole layer, which dockerd asks for without one.
    pub(super) fn ask(&self, headers: &mut HeaderMap) {
        let range = format!("bytes={}-{}", self.offset, self.offset + self.length - 1);
        if !self.is_whole()
            && let Ok(range) = HeaderValue::from_str(&range)
        {
            headers.insert(RANGE, range);
        }
    }

    /// How many bytes are wanted.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    fn is_whole(&self) -> bool {
        self.length == self.layer.size
    }

    /// Reads the piece, and says in `taken` what came even if it fails.
    ///
    /// # Errors
    ///
    /// `corrupt`, `not_a_registry`, `protocol_error`, `connection_lost`, `too_slow`, and those of a body.
    pub(super) async fn read(
        &self,
        mut answer: Answer,
        limits: &Limits,
        end: Instant,
        lane: &mut Lane<'_>,
        taken: &mut Taken,
    ) -> Try<()> {
        let start = self.check_head(&answer)?;
        let mut sum = Sum::new();
        while taken.bytes < self.length && taken.time < limits.read_for {
            let Some(bytes) = lane.hold(answer.body.next(end)).await? else {
                let detail = format!("the layer ended after {} of {} bytes", taken.bytes, self.length);
                return Err(Wrong::new(FailureKind::ConnectionLost, detail));
            };
            if start == 0 && taken.first.is_none() {
                self.check_magic(&bytes)?;
            }
            taken.add(bytes.len() as u64);
            sum.add(&bytes);
        }
        // Whether more follows is only asked where all was wanted; elsewhere the rest was not.
        if self.is_whole() && taken.bytes >= self.length {
            let is_more = taken.bytes > self.length;
            if is_more || sum.digest() != self.layer.digest {
                return Err(Wrong::new(
                    FailureKind::Corrupt,
                    "a layer whose bytes are not those of its digest",
                ));
            }
        }
        match taken.judged_speed(limits) {
            Some(speed) if speed < limits.min_speed as f64 => {
                let kib = speed / 1024.0;
                Err(Wrong::new(FailureKind::TooSlow, format!("a layer at {kib:.1} KiB/s")))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Checks that the head promises this piece, and says at which byte of the layer the body begins.
    fn check_head(&self, answer: &Answer) -> Try<u64> {
        answer.plain()?;
        if answer.media_type().is_some_and(|media_type| media_type == "text/html") {
            return Err(Wrong::new(FailureKind::NotARegistry, "a web page instead of a layer"));
        }
        let size = self.layer.size;
        let other_size =
            |is: u64| Wrong::new(FailureKind::Corrupt, format!("a layer of {is} bytes instead of {size}"));
        if answer.status != StatusCode::PARTIAL_CONTENT {
            return match answer.length() {
                Some(length) if length != size => Err(other_size(length)),
                Some(_) | None => Ok(0),
            };
        }
        let odd = |why: &str| Wrong::new(FailureKind::ProtocolError, why);
        let range = answer.header(&CONTENT_RANGE).ok_or_else(|| odd("206 without Content-Range"))?;
        let (first, last, total) =
            parse_range(range).ok_or_else(|| odd(&format!("206 with Content-Range {range:?}")))?;
        if let Some(total) = total.filter(|total| *total != size) {
            return Err(other_size(total));
        }
        let wanted_last = self.offset + self.length - 1;
        let promised = answer.length().unwrap_or(last - first + 1);
        if first != self.offset || last != wanted_last || promised != last - first + 1 {
            return Err(odd(&format!(
                "206 with Content-Range {range:?}, though {}-{wanted_last} was asked for",
                self.offset
            )));
        }
        Ok(first)
    }

    /// A web page or a placeholder shows in the first bytes, long before a digest could.
    fn check_magic(&self, bytes: &[u8]) -> Try<()> {
        let media_type = self.layer.media_type.as_str();
        let is_packed = media_type.ends_with("gzip") || media_type.ends_with("zstd");
        if !is_packed || begins_as_a_layer(bytes) {
            return Ok(());
        }
        if bytes.starts_with(b"<") {
            return Err(Wrong::new(FailureKind::NotARegistry, "a web page instead of a layer"));
        }
        Err(Wrong::new(FailureKind::Corrupt, format!("the layer does not begin as {media_type} does")))
    }
}

/// dockerd unpacks a layer by what it begins with and not by its media type, which some builders get wrong: gzip, zstd,
/// bzip2, xz, or none of them. Of too few bytes it cannot be told.
fn begins_as_a_layer(bytes: &[u8]) -> bool {
    let packed: [&[u8]; 4] = [b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"\xfd7zXZ\0"];
    let is = |magic: &[u8]| bytes.iter().zip(magic).all(|(byte, other)| byte == other);
    packed.into_iter().any(is) || bytes.get(257..262).is_none_or(|name| name == b"ustar")
}

impl Taken {
    fn add(&mut self, bytes: u64) {
        let now = Instant::now();
        match self.first {
            None => {
                self.first = Some(now);
                self.first_bytes = bytes;
            }
            Some(first) => self.time = now - first,
        }
        self.bytes += bytes;
    }

    /// From the first byte to the last.
    pub(super) fn time(&self) -> Duration {
        self.time
    }

    /// Bytes per second after the first byte, where enough came to tell.
    pub(super) fn speed(&self, limits: &Limits) -> Option<f64> {
        let told = self.bytes - self.first_bytes >= ENOUGH_TO_TELL || self.time >= limits.tell_after;
        if told { self.raw_speed() } else { None }
    }

    /// The speed, where enough came to reject a mirror by it.
    fn judged_speed(&self, limits: &Limits) -> Option<f64> {
        let judged = self.bytes >= ENOUGH_TO_JUDGE || self.time >= limits.tell_after;
        if judged { self.raw_speed() } else { None }
    }

    fn raw_speed(&self) -> Option<f64> {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { Some((self.bytes - self.first_bytes) as f64 / seconds) } else { None }
    }
}

/// `bytes 0-1023/4096`; the total may be `*`.
fn parse_range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    if first <= last && last < u64::MAX { Some((first, last, total)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    fn layers(sizes: &[u64]) -> Vec<Descriptor> {
        let layer = |size: &u64| Descriptor {
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            digest: Digest::of(&size.to_be_bytes()),
            size: *size,
        };
        sizes.iter().map(layer).collect()
    }

    #[test]
    fn layers_and_places_rotate_with_the_turn() {
        const MIB: u64 = 1024 * 1024;
        let image = layers(&[100, 3 * MIB, MIB / 2, 50 * MIB]);
        let asked: Vec<_> = (0..6)
            .map(|turn| Piece::choose(&image, turn, REHEARSED).unwrap())
            .map(|piece| (piece.layer.size, piece.offset, piece.length))
            .collect();
        let half = (MIB / 2, 0, MIB / 2);
        let third = |offset| (3 * MIB, offset, MIB);
        assert_eq!(asked, [third(0), half, third(MIB), half, third(2 * MIB), half]);
    }

    #[test]
    fn an_image_of_odd_layers_still_has_one_to_ask_for() {
        let size = |sizes: &[u64]| Piece::choose(&layers(sizes), 7, SAMPLED).map(|piece| piece.layer.size);
        assert_eq!(size(&[60 << 20, 20 << 20]), Some(20 << 20));
        assert_eq!(size(&[32, 200]), Some(200));
        assert_eq!(size(&[0]), None);
        assert_eq!(size(&[]), None);
    }

    #[test]
    fn a_piece_never_reaches_beyond_its_layer() {
        let image = layers(&[100_000, 33_333]);
        for turn in [0, 1, 2, 3, 4, 5, 6, 7, u64::MAX] {
            let piece = Piece::choose(&image, turn, SAMPLED).unwrap();
            assert!(piece.offset + piece.length <= piece.layer.size, "{piece:?}");
        }
    }

    #[test]
    fn a_layer_is_known_by_what_it_begins_with() {
        let tar = [&[b'f'; 257][..], b"ustar\x0000", &[0; 248]].concat();
        for (bytes, is_one) in [
            (&b"\x1f\x8b\x08"[..], true),
            (b"\x1f", true),
            (b"\x28\xb5\x2f\xfd", true),
            (b"BZh9", true),
            (b"\xfd7zXZ\0", true),
            (&tar, true),
            (&tar[..200], true),
            (&[b'{'; 512], false),
            (&[0; 512], false),
        ] {
            assert_eq!(begins_as_a_layer(bytes), is_one, "{bytes:?}");
        }
    }

    #[test]
    fn a_content_range_is_read_or_refused() {
        assert_eq!(parse_range("bytes 0-9/100"), Some((0, 9, Some(100))));
        assert_eq!(parse_range("bytes 5-9/*"), Some((5, 9, None)));
        for text in ["", "bytes */100", "bytes 9-5/100", "items 0-9/100", "bytes 0-18446744073709551615/*"] {
            assert_eq!(parse_range(text), None, "{text}");
        }
    }
}
