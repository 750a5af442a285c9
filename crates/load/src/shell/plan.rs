//! Who joins which room as what, in which order, and what each should then receive.

use super::options::LoadOptions;
use super::tally::Role;

/// A client to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entrant {
    /// Counts all clients; also the seed of what differs between them.
    pub index: u32,
    pub role: Role,
    pub identity: String,
    pub room: String,
    pub audio: bool,
    pub video: bool,
}

/// The rooms and their clients.
#[derive(Clone, Debug)]
pub struct Plan {
    rooms: Vec<String>,
    pub entrants: Vec<Entrant>,
}

impl Plan {
    /// `fresh` names the room where no name was given. Publishers come first, so that subscribers find their tracks.
    pub fn new(options: &LoadOptions, fresh: &str) -> Self {
        let room = options.room.clone().unwrap_or_else(|| fresh.to_owned());
        let rooms: Vec<String> = match options.rooms {
            0 | 1 => vec![room],
            many => (0..many).map(|index| format!("{room}-{index}")).collect(),
        };
        let mut plan = Self { rooms, entrants: Vec::new() };
        for at in 0..options.publishers() {
            let (audio, video) = (at < options.audio_publishers, at < options.video_publishers);
            let entrant = plan.entrant(plan.entrants.len() as u32, Role::Publisher, at, audio, video);
            plan.entrants.push(entrant);
        }
        for at in 0..options.subscribers {
            let entrant = plan.entrant(plan.entrants.len() as u32, Role::Subscriber, at, false, false);
            plan.entrants.push(entrant);
        }
        plan
    }

    /// The `at`th client that joins only to leave again.
    pub fn churner(&self, at: u32) -> Entrant {
        self.entrant(self.entrants.len() as u32 + at, Role::Churner, at, false, false)
    }

    /// Tracks that all subscribers together should receive: (audio, video).
    pub fn expected_tracks(&self, pictures: usize) -> (u32, u32) {
        let mut expected = (0, 0);
        for room in &self.rooms {
            let here = || self.entrants.iter().filter(|entrant| entrant.room == *room);
            let subscribers = here().filter(|entrant| entrant.role == Role::Subscriber).count();
            let audio = here().filter(|entrant| entrant.audio).count();
            let video = here().filter(|entrant| entrant.video).count().min(pictures);
            expected.0 += (subscribers * audio) as u32;
            expected.1 += (subscribers * video) as u32;
        }
        expected
    }

    /// One socket for signalling and one for each PeerConnection.
    pub fn open_files(&self, churn: u32, stay_secs: u32) -> u64 {
        const OWN: u64 = 64;
        let of = |entrant: &Entrant| if entrant.role == Role::Publisher { 3 } else { 2 };
        OWN + self.entrants.iter().map(of).sum::<u64>() + 2 * u64::from(churn * (stay_secs + 1))
    }

    fn entrant(&self, index: u32, role: Role, at: u32, audio: bool, video: bool) -> Entrant {
        let name = match role {
            Role::Publisher => "publisher",
            Role::Subscriber => "subscriber",
            Role::Churner => "passer-by",
        };
        let room = self.rooms.get(at as usize % self.rooms.len().max(1)).cloned().unwrap_or_default();
        Entrant { index, role, identity: format!("{name}-{at}"), room, audio, video }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::options::tests_support::options;

    #[test]
    fn clients_are_spread_over_rooms() {
        let options = options(&["--rooms=2", "--room=r", "--audio-publishers=1", "--video-publishers=3", "--subscribers=3"]);
        let plan = Plan::new(&options, "fresh");
        let rooms: Vec<&str> = plan.entrants.iter().map(|entrant| entrant.room.as_str()).collect();
        assert_eq!(rooms, ["r-0", "r-1", "r-0", "r-0", "r-1", "r-0"]);
        assert_eq!(plan.entrants.iter().filter(|entrant| entrant.audio).count(), 1);
        // r-0: 2 subscribers, 1 voice, 2 pictures; r-1: 1 subscriber, 1 picture
        assert_eq!(plan.expected_tracks(9), (2, 5));
        assert_eq!(plan.expected_tracks(1), (2, 3));
        assert_eq!(plan.open_files(0, 5), 64 + 3 * 3 + 3 * 2);
        assert_eq!((plan.churner(4).index, plan.churner(4).room.as_str()), (10, "r-0"));
    }

    #[test]
    fn a_room_without_a_name_is_a_new_one() {
        let plan = Plan::new(&options(&["--subscribers=1"]), "fresh");
        assert_eq!((plan.entrants.len(), plan.entrants[0].room.as_str()), (1, "fresh"));
    }
}
