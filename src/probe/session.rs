//! One probe under way: it asks, follows, pays and notes what it sees.

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, HeaderMap, LOCATION, USER_AGENT};
use http::{Method, StatusCode};
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;

use super::Prober;
use super::address::{Reach, Rule};
use super::challenge::{self, Asks, Challenge, Token};
use super::connector::{Line, Way};
use super::exchange::{self, Answer, Ask};
use super::lanes::{Lane, Lanes};
use super::meter::Gauge;
use super::refusal::{is_refusal, of_status, refusal, rest};
use super::target::Target;
use super::wrong::{Try, Wrong};
use crate::image::Digest;
use crate::mirror::MirrorUrl;
use crate::observation::{Depth, Failure, Observation, Outcome, Quirk, REHEARSAL, Stage};
use crate::reason::FailureKind;
use crate::timestamp::Timestamp;

/// How many redirects of a blob are followed; a CDN needs one.
const MOST_REDIRECTS: usize = 3;

/// The most requests that one probe makes to the mirror's own host: `/v2/`, the token, HEAD and GET of the tag, the
/// platform's manifest, the configuration and the layer, a token that turns out to be needed late, and for the two
/// blobs a redirect to itself. A mirror that needs more costs an engine more than it is worth.
pub(super) const MOST_REQUESTS: u32 = REHEARSAL.requests;

/// Why a probe ended early, and where.
pub(super) struct Stop {
    pub(super) stage: Stage,
    pub(super) wrong: Wrong,
}

/// What a step of a probe gives.
pub(super) type Step<T> = Result<T, Stop>;

/// A probe under way.
pub(super) struct Session<'a> {
    pub(super) prober: &'a Prober,
    pub(super) mirror: &'a MirrorUrl,
    pub(super) seen: Observation,
    /// When the whole probe must be over.
    pub(super) end: Instant,
    /// What to do with a 401 on a manifest or a blob.
    pub(super) late: Late,
    way: Option<Way>,
    gauges: Vec<Arc<Gauge>>,
    token: Option<Token>,
    place: Option<SemaphorePermit<'a>>,
    /// For its turn.
    pub(super) waited: Duration,
}

/// What a 401 that comes after `/v2/` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Late {
    /// `/v2/` asked for nothing: a challenge now comes too late for the classic store.
    Surprise,
    /// `/v2/` was not asked, or did not answer: a challenge now is the first that we hear of.
    News,
    /// There is a fresh token already: it does not help.
    Final,
}

/// Puts the stage to what went wrong.
pub(super) fn at(stage: Stage) -> impl Fn(Wrong) -> Stop {
    move |wrong| Stop { stage, wrong }
}

/// A failure at `stage`.
pub(super) fn stop<T>(stage: Stage, kind: FailureKind, detail: &str) -> Step<T> {
    Err(Stop { stage, wrong: Wrong::new(kind, detail) })
}

impl<'a> Session<'a> {
    pub(super) fn new(prober: &'a Prober, mirror: &'a MirrorUrl, depth: Depth, at: Timestamp) -> Self {
        Self {
            prober,
            mirror,
            seen: Observation::new(at, depth),
            end: Instant::now() + prober.limits.whole(depth),
            late: Late::News,
            way: None,
            gauges: Vec::new(),
            token: None,
            place: None,
            waited: Duration::ZERO,
        }
    }

    /// The clock by which stages are timed: it stands still while we wait for our turn.
    pub(super) fn clock(&self) -> Instant {
        Instant::now() - self.waited
    }

    /// The observation, with how it ended and what it cost.
    pub(super) fn finish(mut self, ended: Step<()>) -> Observation {
        if let Err(Stop { stage, wrong: Wrong { kind, detail } }) = ended {
            self.seen.outcome = Outcome::Failed(Failure { kind, stage, detail });
        }
        self.seen.spent.bytes = self.read();
        self.seen
    }

    /// Bytes until now.
    pub(super) fn read(&self) -> u64 {
        self.gauges.iter().map(|gauge| gauge.read()).sum()
    }

    /// Name, TCP and TLS of the mirror, and no request.
    pub(super) async fn connect(&mut self) -> Step<()> {
        let mirror = self.mirror;
        self.line(Stage::Connect, mirror).await.map(drop)
    }

    /// Whether `origin` is the mirror itself, whatever the scheme.
    fn is_own(&self, origin: &MirrorUrl) -> bool {
        origin.authority() == self.mirror.authority()
    }

    /// `path` on the mirror, in the words of the engine's store.
    pub(super) fn on_mirror(&self, path: String) -> Target {
        let target = Target::on(self.mirror, path);
        if self.prober.voice.names_upstream(self.mirror) {
            target.with_query("ns", "docker.io")
        } else {
            target
        }
    }

    /// Finds the way to the mirror, once a probe, and how long that took.
    pub(super) async fn way(&mut self) -> Step<Way> {
        if let Some(way) = &self.way {
            return Ok(way.clone());
        }
        let (way, took) = self.find(self.mirror, Rule::Candidate).await.map_err(at(Stage::Name))?;
        if matches!(way, Way::Straight(_)) {
            self.seen.stages.name = Some(took);
        }
        self.way = Some(way.clone());
        Ok(way)
    }

    /// The way to `host`, and how long it took to find once it was our turn to ask.
    async fn find(&mut self, host: &MirrorUrl, rule: Rule) -> Try<(Way, Duration)> {
        let mut lane = self.lane(&self.prober.names).await;
        let begin = self.clock();
        let way = lane.hold(self.prober.connector.way(host, rule, self.end)).await?;
        Ok((way, self.clock() - begin))
    }

    /// Waits for its `turn`; that others were before it is nothing of this mirror's.
    async fn wait<T>(&mut self, turn: impl Future<Output = T>) -> T {
        let begin = Instant::now();
        let turn = turn.await;
        let waited = begin.elapsed();
        self.waited += waited;
        self.end += waited;
        turn
    }

    /// One of `lanes`.
    pub(super) async fn lane(&mut self, lanes: &'a Lanes) -> Lane<'a> {
        self.wait(lanes.take()).await
    }

    /// A place among those who are talked to, once a probe, for as long as it lasts.
    async fn take_place(&mut self) {
        if self.place.is_none() {
            self.place = self.wait(self.prober.places.acquire()).await.ok();
        }
    }

    /// A connection to `origin` for a request of `stage`.
    async fn line(&mut self, stage: Stage, origin: &MirrorUrl) -> Step<Line> {
        let own = self.is_own(origin);
        let way = if origin == self.mirror {
            self.way().await?
        } else {
            let reach = self.way.as_ref().map_or(Reach::Public, Way::reach);
            self.find(origin, Rule::Hop(reach)).await.map_err(at(stage))?.0
        };
        if let Way::Straight(checked) = &way
            && (own || stage == Stage::Layer)
        {
            self.seen.addresses.extend(checked.addresses());
        }
        let connector = &self.prober.connector;
        let stop_at = |own_stage| {
            move |wrong: Wrong| match own {
                true => Stop { stage: own_stage, wrong },
                false => Stop { stage, wrong: wrong.at(origin.authority()) },
            }
        };
        let line = connector.reach(origin, &way, self.end).await.map_err(stop_at(Stage::Connect))?;
        self.take_place().await;
        let line = connector.secure(line, origin, self.end).await.map_err(stop_at(Stage::Tls))?;
        self.gauges.push(Arc::clone(&line.gauge));
        if stage == Stage::Layer {
            self.seen.layer_address = line.peer;
        }
        let stages = &mut self.seen.stages;
        if own && stages.connect.is_none() {
            stages.connect = Some(line.connect);
            stages.tls = line.tls;
            self.seen.address = line.peer;
        }
        Ok(line)
    }

    /// One request and the head of its answer, whatever its status.
    pub(super) async fn send(
        &mut self,
        stage: Stage,
        method: Method,
        target: &Target,
        mut headers: HeaderMap,
        body_bytes: u64,
    ) -> Step<Answer> {
        let own = self.is_own(&target.origin);
        let line = self.line(stage, &target.origin).await?;
        headers.insert(USER_AGENT, self.prober.voice.user_agent());
        let limits = &self.prober.limits;
        let until = self.end.min(Instant::now() + limits.timeout);
        let ask = Ask { method, headers, body_bytes, until, stall: limits.stall };
        if own {
            if self.seen.spent.requests >= MOST_REQUESTS {
                let detail = format!("it takes more than {MOST_REQUESTS} requests to get here");
                return Err(Stop { stage, wrong: Wrong::new(FailureKind::RedirectRefused, detail) });
            }
            self.seen.spent.requests += 1;
        }
        let answer = exchange::ask(line, target, ask).await.map_err(|wrong| match own {
            true => Stop { stage, wrong },
            false => Stop { stage, wrong: wrong.at(target.origin.authority()) },
        })?;
        if own && is_refusal(answer.status) {
            self.seen.spent.refusals += 1;
        }
        // Whoever says it on the way: asking on would be as unwelcome.
        if answer.status.as_u16() >= 400 {
            self.seen.retry_after = rest(&answer.headers, self.seen.at).or(self.seen.retry_after);
        }
        Ok(answer)
    }

    /// As [`Self::send`], with the token, and once again with a new one where the mirror asks for it.
    pub(super) async fn send_with_token(
        &mut self,
        stage: Stage,
        method: Method,
        target: &Target,
        headers: HeaderMap,
        repository: &str,
        body_bytes: u64,
    ) -> Step<Answer> {
        let with_token = |session: &Self, mut headers: HeaderMap| {
            // To the mirror's own host and nowhere else.
            if let Some(token) = &session.token
                && session.is_own(&target.origin)
            {
                headers.insert(AUTHORIZATION, token.header.clone());
            }
            headers
        };
        let first = with_token(self, headers.clone());
        let answer = self.send(stage, method.clone(), target, first, body_bytes).await?;
        if answer.status != StatusCode::UNAUTHORIZED
            || !self.is_own(&target.origin)
            || self.late == Late::Final
        {
            return Ok(answer);
        }
        let Asks::Token(challenge) = Asks::of(&answer.headers, self.prober.store) else { return Ok(answer) };
        let surprise = self.late == Late::Surprise;
        drop(answer);
        self.fetch_token(&challenge, repository).await?;
        let again = with_token(self, headers);
        let answer = self.send(stage, method, target, again, body_bytes).await?;
        // Where the token does not help, the image is nobody's to have, and that is no trait of the mirror.
        if surprise && answer.status != StatusCode::UNAUTHORIZED {
            self.seen.quirks.insert(Quirk::LateChallenge);
        }
        Ok(answer)
    }

    /// Takes a remembered token, if it still opens `repository`.
    pub(super) fn take_token(&mut self, token: Option<Token>, repository: &str) -> bool {
        self.token = token.filter(|token| token.is_good_for(repository, Instant::now()));
        self.token.is_some()
    }

    /// Fetches an anonymous token from the realm that the mirror names.
    pub(super) async fn fetch_token(&mut self, challenge: &Challenge, repository: &str) -> Step<()> {
        let stage = Stage::Token;
        let begin = self.clock();
        let own = Target::on(self.mirror, "/".to_owned());
        let realm = Target::parse(&challenge.realm).and_then(|realm| own.not_downgraded(realm));
        let realm = realm.map_err(at(stage))?;
        self.note_host(&realm.origin);
        // In the order in which Go sorts them.
        let mut target = realm.with_query("scope", &format!("repository:{repository}:pull"));
        if let Some(service) = &challenge.service {
            target = target.with_query("service", service);
        }
        let bytes = challenge::ANSWER_BYTES;
        let answer = self.send(stage, Method::GET, &target, HeaderMap::new(), bytes as u64).await?;
        let answer = self.good(stage, &target.origin, answer).await?;
        let token = async {
            answer.plain()?;
            let body = answer.whole(bytes, self.body_end()).await?;
            Token::read(&body, repository, Instant::now())
        };
        let token = token.await.map_err(|wrong| self.of_host(stage, &target.origin, wrong))?;
        self.prober.known.of(self.mirror, |known| {
            known.challenge = Some(challenge.clone());
            known.token = Some(token.clone());
        });
        self.token = Some(token);
        self.late = Late::Final;
        self.seen.stages.token = Some(self.clock() - begin);
        Ok(())
    }

    /// A blob from wherever the mirror sends us for it, and the host that has it.
    pub(super) async fn blob(
        &mut self,
        stage: Stage,
        repository: &str,
        digest: &Digest,
        headers: HeaderMap,
        body_bytes: u64,
    ) -> Step<(Answer, MirrorUrl)> {
        let mut target = self.on_mirror(format!("/v2/{repository}/blobs/{digest}"));
        for _ in 0..=MOST_REDIRECTS {
            let asked = headers.clone();
            let answer =
                self.send_with_token(stage, Method::GET, &target, asked, repository, body_bytes).await?;
            if !is_redirect(answer.status) {
                let answer = self.good(stage, &target.origin, answer).await?;
                return Ok((answer, target.origin));
            }
            target = follow(&target, &answer).map_err(at(stage))?;
            self.note_host(&target.origin);
        }
        stop(stage, FailureKind::RedirectRefused, &format!("more than {MOST_REDIRECTS} redirects"))
    }

    /// The answer, if it is a 200 or a 206; else why it is not.
    pub(super) async fn good(&mut self, stage: Stage, host: &MirrorUrl, answer: Answer) -> Step<Answer> {
        let status = answer.status;
        if status == StatusCode::OK || status == StatusCode::PARTIAL_CONTENT {
            return Ok(answer);
        }
        let wrong = if is_redirect(status) {
            let to = answer.header(&LOCATION).unwrap_or("nowhere").to_owned();
            Wrong::new(of_status(status), format!("HTTP {}, to {to}", status.as_u16()))
        } else {
            refusal(answer, self.body_end()).await
        };
        Err(self.of_host(stage, host, wrong))
    }

    /// When a body that is read to its end must have ended.
    pub(super) fn body_end(&self) -> Instant {
        self.end.min(Instant::now() + self.prober.limits.timeout)
    }

    /// Names the host where it is not the mirror's own.
    pub(super) fn of_host(&self, stage: Stage, host: &MirrorUrl, wrong: Wrong) -> Stop {
        let wrong = if self.is_own(host) { wrong } else { wrong.at(host.authority()) };
        Stop { stage, wrong }
    }

    /// Notes where the mirror sends a ping, and goes there not.
    pub(super) fn note_redirect(&mut self, from: &Target, answer: &Answer) {
        if is_redirect(answer.status)
            && let Ok(target) = follow(from, answer)
        {
            self.note_host(&target.origin);
        }
    }

    fn note_host(&mut self, host: &MirrorUrl) {
        if !self.is_own(host) {
            self.seen.sent_to.insert(host.authority().to_owned());
        }
    }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn follow(from: &Target, answer: &Answer) -> Try<Target> {
    match answer.header(&LOCATION) {
        Some(location) => from.join(location),
        None => Err(Wrong::new(FailureKind::ProtocolError, "a redirect without a readable Location")),
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;
    use crate::probe::Settings;

    #[tokio::test(start_paused = true)]
    async fn to_wait_for_ones_turn_takes_no_time_of_a_stage_and_none_of_the_probe() {
        const LONG: Duration = Duration::from_secs(5);
        let prober = Prober::new(Settings::default()).unwrap();
        let mirror = "https://mirror.example".parse().unwrap();
        let mut session = Session::new(&prober, &mirror, Depth::Rehearse, Timestamp::default());
        let (clock, end) = (session.clock(), session.end);
        session.wait(sleep(LONG)).await;
        assert_eq!((session.clock() - clock, session.end - end), (Duration::ZERO, LONG));
        sleep(LONG).await;
        assert_eq!((session.clock() - clock, session.end - end), (LONG, LONG));
    }
}
