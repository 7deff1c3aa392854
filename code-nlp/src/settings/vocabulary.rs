//! The words that a parser should know beside its own: from the settings and from what was deployed.

use code_core::parser::Vocabulary;

use super::Settings;
use crate::context::History;

impl Settings {
    /// The words of this project: names of its settings, and of everything that was deployed.
    pub fn vocabulary(&self, history: &History) -> Vocabulary {
        let mut words = Vocabulary {
            environments: self.environments.keys().chain(&self.vocabulary.environments).cloned().collect(),
            applications: self.application.iter().chain(&self.vocabulary.applications).cloned().collect(),
            products: self.vocabulary.products.clone(),
            synonyms: self.vocabulary.synonyms.clone(),
            ..Vocabulary::default()
        };
        for (deployment, revisions) in history.iter() {
            words.applications.insert(deployment.application().to_owned());
            words.environments.insert(deployment.environment().to_owned());
            for component in revisions.iter().filter_map(|r| r.spec.as_ref()).flat_map(|s| &s.components) {
                words.components.insert(component.name.clone(), Some(component.kind));
            }
        }
        let here = self.environments.values().flat_map(|e| &e.components);
        for (name, settings) in self.components.iter().chain(here) {
            let known = words.components.entry(name.clone()).or_default();
            *known = settings.kind().or(*known);
        }
        for (name, kind) in &self.vocabulary.components {
            words.components.insert(name.clone(), Some(*kind));
        }
        words
    }
}
