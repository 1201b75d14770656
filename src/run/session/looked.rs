//! What a run's views show.

use super::Session;
use crate::error::{Error, Result};
use crate::recording::StepValues;
use crate::run::blueprint::ViewPlan;
use crate::run::shown::{self, Asked, Ready};
use crate::systems::View;

impl Session {
    /// What the first view shows of records `[count, ...]` of its first input, from
    /// averaged weights where there are any; images in [-1, 1].
    ///
    /// # Errors
    /// Where there is no view or the device failed.
    pub fn sample(&mut self, records: &[f32]) -> Result<Vec<f32>> {
        let view = self.first_view()?;
        let input = &view.inputs[0];
        let count = records.len() / input.record.iter().product::<usize>().max(1);
        let asked = Asked::given(input.name, records.to_vec(), count);
        self.show(&asked)
    }

    /// What the first view shows; images in [-1, 1].
    ///
    /// # Errors
    /// As of [`Session::look`].
    pub fn show(&mut self, asked: &Asked) -> Result<Vec<f32>> {
        let view = self.first_view()?;
        self.show_through(&view, asked)
    }

    /// What a view shows; images in [-1, 1].
    ///
    /// # Errors
    /// As of [`Session::look`].
    pub fn show_through(&mut self, view: &View, asked: &Asked) -> Result<Vec<f32>> {
        let shown = self.look(view.name, asked)?.swap_remove(0);
        Ok(view.medium.to_unit(shown))
    }

    /// The views that figures of a training show: the first, and those that say so.
    pub fn figures(&self) -> Vec<View> {
        let views = self.blueprint.views.iter().enumerate();
        let shown = views.filter(|(index, plan)| *index == 0 || plan.view.figured);
        shown.map(|(_, plan)| plan.view.clone()).collect()
    }

    fn first_view(&self) -> Result<View> {
        let view = self.blueprint.views.first();
        let view = view.ok_or_else(|| Error::shape("sample", "this system shows nothing"))?;
        Ok(view.view.clone())
    }

    /// The outputs of a view, row-major.
    ///
    /// # Errors
    /// Where there is no such view, what it takes is not given, or the device
    /// failed.
    pub fn look(&mut self, view: &str, asked: &Asked) -> Result<Vec<Vec<f32>>> {
        let plan = self.blueprint.views.iter().find(|v| v.view.name == view);
        let ViewPlan { view, count } = plan
            .cloned()
            .ok_or_else(|| Error::shape("look", format!("this run has no view {view}")))?;
        let classes = self.system.classes().len();
        let mut shown = Shown {
            session: self,
            view: view.name,
        };
        shown::look(&mut shown, (&view, count), asked, classes)
    }
}

/// A view of a session.
struct Shown<'a> {
    session: &'a mut Session,
    view: &'static str,
}

impl Ready for Shown<'_> {
    fn put(&self, name: &str, values: &[f32]) -> Result<()> {
        self.session.write(name, values)
    }

    fn get(&self, name: &str) -> Result<Vec<f32>> {
        self.session.read(name)
    }

    fn replay(&mut self, values: StepValues) -> Result<()> {
        self.session.replay(self.view, values)
    }
}
