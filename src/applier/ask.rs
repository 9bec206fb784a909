//! The prober's side: what it knows of the engine is what the applier published, and what it wants done it asks for.

use std::cell::{Cell, RefCell};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::report::{self, FILE, Report};
use super::request::{self, FORMAT, Named, Request};
use super::{Places, away};
use crate::engine::docker;
use crate::engine::{Applied, Facts, Problem};
use crate::mirror::MirrorUrl;
use crate::publish::{Durability, publish};
use crate::reason::{ProblemKind, WarningKind};
use crate::timestamp::Timestamp;

/// Between two looks for an answer: the answer itself takes some fifty milliseconds.
const POLL: Duration = Duration::from_millis(10);

/// A request that came while the applier was just ending started nobody, and is made again; after twice as long each
/// time, because a long apply is no reason to ask ever again.
const AGAIN: Duration = Duration::from_millis(500);
const AGAIN_CAP: Duration = Duration::from_secs(8);

/// A reload may take half a minute, a roll-back as long again.
const APPLY: Duration = Duration::from_secs(90);

/// dockerd's `/info` may take ten seconds.
const LOOK: Duration = Duration::from_secs(20);

/// An engine that has a problem is looked at again after this, doubling up to [`WAIT_CAP`]: each look starts a process.
const WAIT: Duration = Duration::from_secs(2);
const WAIT_CAP: Duration = Duration::from_secs(60);

/// One that refuses its list may do so for months, and nearly all that ends it shows by itself: another file, another
/// process. What does not, as a disk that is mounted writable again, may take so long.
const REFUSED_CAP: Duration = Duration::from_secs(600);

/// One that does not run may be stopped for months, and comes with a process, which is seen; but that systemd has just
/// given it up is not. So it is looked at while that may be near, and then as often as the applier's timer does.
const REST_CAP: Duration = Duration::from_secs(3600);

/// The applier's timer publishes every hour; one that is older than that is not there.
const STALE: Duration = Duration::from_secs(2 * 3600);

/// A state of a file, by its name: which one it is, and when it changed, in seconds and nanoseconds.
type Look = Option<(u64, i64, i64)>;

/// What shows of the engine from here, where that is not what the applier has seen. Another process, a file that was
/// edited since; or what only one of the two may see at all, as under `hidepid`.
#[derive(Debug, PartialEq, Eq)]
struct Difference {
    running: [Vec<(i32, u64)>; 2],
    file: [Option<(i64, i64)>; 2],
}

impl Difference {
    fn from(report: &Report) -> Option<Self> {
        let running = [docker::running(), report.running.clone()];
        // A directory that we may not look into says nothing; the applier's unit watches the file too.
        let file = report.facts.as_ref().and_then(|facts| report::changed(&facts.file));
        let file = file.map_or([None, None], |changed| [Some(changed), report.file_changed]);
        (running[0] != running[1] || file[0] != file[1]).then_some(Self { running, file })
    }
}

/// The applier, as the prober has it.
#[derive(Debug)]
pub struct Applier {
    places: Places,
    /// Requests are made one after the other.
    turn: Mutex<()>,
    last: Cell<u64>,
    /// How often in a row a problem was looked at again.
    waited: Cell<u32>,
    adopted: RefCell<Vec<MirrorUrl>>,
    pulled: Cell<Option<Timestamp>>,
    /// What was published is to be looked at afresh, whatever its age.
    doubted: Cell<bool>,
    /// What was looked at afresh for this, and if it is still so, it was so then: two processes see two things.
    lasting: RefCell<Option<Difference>>,
    /// The report that was read last.
    read: Cell<Look>,
    /// That report when the engine was last looked at, and its file just before.
    seen: Cell<Option<(Look, Look)>>,
    /// Where the engine's file was by the last report that says so.
    file: RefCell<Option<PathBuf>>,
    clock: fn() -> Timestamp,
}

impl Applier {
    /// Nothing is asked yet. `clock` numbers the requests, over restarts too.
    pub fn new(places: Places, clock: fn() -> Timestamp) -> Self {
        let adopted = Report::read(&places.reports).map(|report| report.adopted).unwrap_or_default();
        Self {
            places,
            turn: Mutex::new(()),
            last: Cell::new(0),
            waited: Cell::new(0),
            adopted: RefCell::new(adopted),
            pulled: Cell::new(None),
            doubted: Cell::new(false),
            lasting: RefCell::new(None),
            read: Cell::new(None),
            seen: Cell::new(None),
            file: RefCell::new(None),
            clock,
        }
    }

    /// The file that is replaced when the engine was looked at.
    pub fn report_file(&self) -> PathBuf {
        self.places.reports.join(FILE)
    }

    /// What stood in the engine's file, by what was last published.
    pub fn adopted(&self) -> Vec<MirrorUrl> {
        self.adopted.borrow().clone()
    }

    /// When the last pull ended well that the engine knows of, by what was last published.
    pub fn pulled(&self) -> Option<Timestamp> {
        self.pulled.get()
    }

    /// The next look is to be a fresh one: a pull may have ended, which cannot be seen from here.
    pub fn doubt(&self) {
        self.doubted.set(true);
    }

    /// What the engine is. Asks for a look only when something speaks for one.
    ///
    /// # Errors
    /// What stands in the way of knowing.
    pub async fn facts(&self) -> Result<Facts, Problem> {
        // An edit that comes while the applier answers is one that it may not have seen.
        let file = self.look_at_file();
        self.read.set(look_at(&self.report_file()));
        let report = self.report().await;
        self.seen.set(Some((self.read.get(), file)));
        let report = report?;
        if let Some(facts) = &report.facts {
            self.file.replace(Some(facts.file.clone()));
        }
        self.adopted.borrow_mut().clone_from(&report.adopted);
        self.pulled.set(report.pulled.map(Timestamp::from_millis));
        match (report.facts, report.problem) {
            (Some(facts), _) => Ok(facts),
            (None, Some(problem)) => Err(problem),
            (None, None) => Err(self.away("it published nothing")),
        }
    }

    /// Whether something was published, or the engine's file is another one, since the last look at the engine. What that
    /// look has itself brought about is none: or each would be the reason for the next one.
    pub fn has_news(&self) -> bool {
        self.seen.get() != Some((look_at(&self.report_file()), self.look_at_file()))
    }

    /// Asks for a list by its names.
    ///
    /// # Errors
    /// Why the engine does not have it, or that nobody answered.
    pub async fn apply(&self, list: Vec<Named>) -> Result<Applied, Problem> {
        let report = self.ask(Some(list), APPLY).await?;
        report.outcome.unwrap_or_else(|| Err(self.away("it answered without a word")))
    }

    fn look_at_file(&self) -> Look {
        self.file.borrow().as_deref().and_then(look_at)
    }

    /// What was published, or a fresh one.
    async fn report(&self) -> Result<Report, Problem> {
        let known = Report::read(&self.places.reports).ok();
        let difference = known.as_ref().and_then(Difference::from);
        if difference.is_none() {
            self.lasting.replace(None);
        }
        if let Some(known) = known
            && !self.doubted.take()
            && !self.is_out_of_date(&known, difference.as_ref())
        {
            return Ok(known);
        }
        let fresh = self.ask(None, LOOK).await?;
        if difference.is_some() {
            self.lasting.replace(difference);
        }
        Ok(fresh)
    }

    fn is_out_of_date(&self, report: &Report, difference: Option<&Difference>) -> bool {
        let age = (self.clock)().since(Timestamp::from_millis(report.at));
        if age > STALE || (difference.is_some() && difference != self.lasting.borrow().as_ref()) {
            self.waited.set(0);
            return true;
        }
        self.is_due(report, age)
    }

    /// Whether an engine that has not changed visibly since a report of this age is to be looked at all the same.
    fn is_due(&self, report: &Report, age: Duration) -> bool {
        let Some(cap) = longest_pause(report) else {
            self.waited.set(0);
            return false;
        };
        let pause = WAIT.saturating_mul(1 << self.waited.get().min(20)).min(cap);
        let due = age >= pause;
        self.waited.set(self.waited.get() + u32::from(due));
        due
    }

    async fn ask(&self, list: Option<Vec<Named>>, patience: Duration) -> Result<Report, Problem> {
        let _turn = self.turn.lock().await;
        let number = (self.clock)().as_millis().max(self.last.get() + 1);
        self.last.set(number);
        let json = serde_json::to_vec(&Request { format: FORMAT, number, list })
            .expect("numbers and texts are always JSON");
        let start = Instant::now();
        let (mut ask_at, mut again) = (start, AGAIN);
        let mut seen = None;
        while start.elapsed() < patience {
            if Instant::now() >= ask_at {
                ask_at = Instant::now() + again;
                again = (again * 2).min(AGAIN_CAP);
                publish(&self.places.requests, request::FILE, &json, Durability::Cached).map_err(
                    |error| {
                        let path = self.places.requests.join(request::FILE);
                        Problem::new(ProblemKind::Applier, format!("{}: {error}", path.display()))
                    },
                )?;
            }
            let now = look_at(&self.report_file());
            if now.is_some() && now != seen {
                seen = now;
                self.read.set(now);
                if let Ok(report) = Report::read(&self.places.reports)
                    && report.answered == Some(number)
                {
                    return Ok(report);
                }
            }
            sleep(POLL).await;
        }
        let cause = away::cause().await.map(|cause| format!(": {cause}")).unwrap_or_default();
        Err(self.away(&format!("no answer within {patience:?}{cause}")))
    }

    fn away(&self, what: &str) -> Problem {
        let path = self.report_file();
        Problem::new(ProblemKind::Applier, format!("{}: mirrorwatch-apply: {what}", path.display()))
    }
}

fn look_at(path: &Path) -> Look {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.ctime(), metadata.ctime_nsec()))
}

/// How long to wait at most for what the engine may become without anything that can be seen from here; `None`: it will
/// not.
fn longest_pause(report: &Report) -> Option<Duration> {
    let Some(facts) = &report.facts else {
        let stopped = report.running.is_empty()
            && report.problem.as_ref().is_some_and(|problem| problem.kind == ProblemKind::NotRunning);
        return Some(if stopped { REST_CAP } else { WAIT_CAP });
    };
    // Somebody's own reload, which ends this one, shows nowhere else.
    let pending = facts.warnings.iter().any(|warning| warning.kind == WarningKind::PendingEdits);
    // So does one that activates another list; it may also never come.
    let edited = facts.refusal.is_some() || facts.listed_elsewise().is_some();
    match (pending, edited) {
        (true, _) => Some(WAIT_CAP),
        (false, true) => Some(REFUSED_CAP),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::applier::report::tests::of_a_docker;
    use crate::engine::Warning;

    fn away(problem: ProblemKind) -> Report {
        let problem = Some(Problem::new(problem, String::new()));
        Report { facts: None, problem, running: Vec::new(), ..of_a_docker() }
    }

    fn refusing(warning: Option<WarningKind>) -> Report {
        let mut report = of_a_docker();
        let facts = report.facts.as_mut().unwrap();
        facts.refusal = Some(Problem::new(ProblemKind::FlagConflict, String::new()));
        facts.warnings = warning.into_iter().map(|kind| Warning { kind, detail: String::new() }).collect();
        report
    }

    fn places(directory: &Path) -> Places {
        let at = |name| directory.join(name);
        Places {
            config: at("mirrors.toml"),
            requests: at("requests"),
            reports: at("reports"),
            state: at("state"),
        }
    }

    /// In which seconds of two hours it looks, when every look finds the same.
    fn looks(report: &Report) -> Vec<u64> {
        let nowhere = tempfile::tempdir().unwrap();
        let applier = Applier::new(places(nowhere.path()), Timestamp::default);
        let (mut looks, mut last) = (Vec::new(), 0);
        for second in (0..7200).step_by(2) {
            if applier.is_due(report, Duration::from_secs(second - last)) {
                looks.push(second);
                last = second;
            }
        }
        looks
    }

    #[test]
    fn a_docker_that_stops_is_looked_at_closely_at_first_and_in_the_end_once_an_hour() {
        assert_eq!(
            looks(&away(ProblemKind::NotRunning)),
            [2, 6, 14, 30, 62, 126, 254, 510, 1022, 2046, 4094]
        );
        let given_up = looks(&away(ProblemKind::GivenUp));
        assert_eq!((&given_up[..5], given_up.len()), (&[2, 6, 14, 30, 62][..], 123));
    }

    #[test]
    fn a_docker_that_refuses_is_looked_at_six_times_an_hour_unless_its_administrator_may_end_that_unseen() {
        let refusing = |warning| looks(&refusing(warning));
        let flag = refusing(None);
        assert_eq!((&flag[..9], flag.len()), (&[2, 6, 14, 30, 62, 126, 254, 510, 1022][..], 19));
        assert_eq!(refusing(Some(WarningKind::PendingEdits)).len(), 123);
        // Who edited the list may reload it, and that does not show from here either.
        let mut edited = of_a_docker();
        edited.facts.as_mut().unwrap().listed = Some(vec!["https://a.example".to_owned()]);
        assert_eq!(looks(&edited), flag);
        assert_eq!(looks(&of_a_docker()), [0; 0]);
    }

    /// Answers every request with what it was told last, and counts them.
    struct Answers {
        places: Places,
        report: RefCell<Report>,
        count: Cell<u32>,
    }

    impl Answers {
        fn publish(&self, answered: Option<u64>) {
            let report = Report { answered, ..self.report.borrow().clone() };
            report.write(&self.places.reports, None).unwrap();
        }

        async fn run(&self) {
            let mut answered = None;
            loop {
                let request = request::read(&self.places.requests).ok().flatten();
                let request = request.and_then(|bytes| serde_json::from_slice::<Request>(&bytes).ok());
                let number = request.map(|request| request.number);
                if number.is_some() && number != answered {
                    answered = number;
                    self.count.set(self.count.get() + 1);
                    self.publish(answered);
                }
                sleep(POLL).await;
            }
        }
    }

    #[tokio::test]
    async fn what_only_the_applier_can_see_is_asked_for_once_and_its_answer_is_no_news() {
        let place = tempfile::tempdir().unwrap();
        let places = places(place.path());
        std::fs::create_dir(&places.requests).unwrap();
        std::fs::create_dir(&places.reports).unwrap();
        let file = place.path().join("daemon.json");
        crate::file::replace(&file, b"{}", None).unwrap();
        // A process that cannot be seen from here, and no time at which the file changed.
        let mut report = of_a_docker();
        report.facts.as_mut().unwrap().file.clone_from(&file);
        let applier = Applier::new(places.clone(), || Timestamp::from_millis(1));
        let answers = Answers { places, report: RefCell::new(report), count: Cell::new(0) };
        let mut run = std::pin::pin!(answers.run());
        let mut look = async || {
            tokio::select! {
                () = &mut run => unreachable!("it answers for ever"),
                facts = applier.facts() => facts.unwrap(),
            };
            answers.count.get()
        };
        assert!(applier.has_news(), "nobody has looked yet");
        assert_eq!(look().await, 1, "nothing was published yet");
        for _ in 0..5 {
            assert_eq!(look().await, 2, "a fresh look might have ended it");
        }
        assert!(!applier.has_news());
        // Another process, which the applier tells of by itself.
        answers.report.borrow_mut().running = vec![(9, 10)];
        answers.publish(None);
        assert!(applier.has_news());
        for _ in 0..5 {
            assert_eq!(look().await, 3);
        }
        assert!(!applier.has_news());
        crate::file::replace(&file, b"{ }", None).unwrap();
        assert!(applier.has_news());
        for _ in 0..5 {
            assert_eq!(look().await, 4);
        }
        assert!(!applier.has_news());
    }
}
