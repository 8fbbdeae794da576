//! Ids short enough for a table and long enough to be told apart.

/// The fewest characters that an id is shortened to.
const CHARACTERS_MIN: usize = 6;
/// Ids up to this length are shown whole.
const WHOLE_CHARACTERS_MAX: usize = 16;

/// How ids are shown among others.
#[derive(Debug)]
pub(super) struct Short<'a>(&'a [&'a str]);

impl<'a> Short<'a> {
    /// For these ids.
    pub(super) fn among(ids: &'a [&'a str]) -> Self {
        Self(ids)
    }

    /// The id, or its beginning and two dots: the beginning of no other id.
    pub(super) fn of(&self, id: &str) -> String {
        if id.len() <= WHOLE_CHARACTERS_MAX {
            return id.to_owned();
        }
        let is_own = |begin: &str| {
            let others = self.0.iter().filter(|other| **other != id);
            others.into_iter().all(|other| !other.starts_with(begin))
        };
        let begins = (CHARACTERS_MIN..id.len()).filter_map(|end| id.get(..end));
        let own = begins.into_iter().find(|begin| is_own(begin));
        own.map_or_else(|| id.to_owned(), |begin| format!("{begin}.."))
    }
}

#[cfg(test)]
mod tests {
    use super::Short;

    #[test]
    fn a_long_id_is_shortened_as_far_as_it_stays_its_own() {
        let ids = [
            "b0000001-0004-0000-0000-000000000001",
            "b0000001-0005-0000-0000-000000000001",
            "a1b2c3d4-0004-0000-0000-000000000001",
            "my-agent",
        ];
        let short = Short::among(&ids);
        let shown: Vec<String> = ids.iter().map(|id| short.of(id)).collect();
        assert_eq!(
            shown,
            ["b0000001-0004..", "b0000001-0005..", "a1b2c3..", "my-agent"]
        );
    }
}
