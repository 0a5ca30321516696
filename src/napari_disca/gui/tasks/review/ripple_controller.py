"""Lists the regions that an adaptation changed in their panel, and applies verdicts on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, QTimer, Signal

from napari_disca.gui.panels.review.ripple_panel import RipplePanel, area_text
from napari_disca.gui.tasks.review.ripple_comparison import RippleComparison
from napari_disca.gui.toolkit.error_messages import guarded
from napari_disca.raster.resolution import raster_resolution
from napari_disca.session.proposals import Proposals
from napari_disca.session.regions.changed_regions import Region
from napari_disca.session.regions.ripple import Ripple

if TYPE_CHECKING:
    from napari_disca.core.tiling import Window
    from napari_disca.gui.tasks.control import Control
    from napari_disca.raster import Raster
    from napari_disca.session.session import Session

#: Milliseconds that the slider rests before the map is redone.
_SETTLE = 120
#: Milliseconds for which each map is shown while the key is held.
_BLINK = 450
_NOTHING = "nothing was adapted"


class RippleController(QObject):
    """Shows the regions that an adaptation changed in a panel, and passes verdicts to the session.

    Signals: ``changed()`` when the list or the possible verdicts change.

    Parameters
    ----------
    panel : RipplePanel
    control : Control
    outline : callable
        Outlines a window of the image; with None, nothing.
    parent : QObject
    """

    changed = Signal()

    def __init__(
        self,
        panel: RipplePanel,
        control: Control,
        outline: Callable[[Window | None], object],
        parent: QObject,
    ) -> None:
        super().__init__(parent)
        self.panel, self._control, self._outline = panel, control, outline
        self._session: Session | None = None
        self.comparison = RippleComparison(self)
        self.comparison.listed.connect(self._on_listed)
        self.comparison.found.connect(self._on_found)
        #: Whether the slider is held: all its values together are one step of the history.
        self._trying = False
        self._settle = QTimer(self)
        self._settle.setSingleShot(True)
        self._settle.setInterval(_SETTLE)
        self._settle.timeout.connect(self._set_strength)
        self._blink = QTimer(self)
        self._blink.setInterval(_BLINK)
        self._blink.timeout.connect(self._swap)
        control.changed.connect(self._on_changed)
        panel.accept.connect(self.accept)
        panel.reject.connect(self.reject)
        panel.next_change.connect(panel.choose_next)
        panel.accept_all.connect(self.accept_all)
        panel.reject_all.connect(self.reject_all)
        panel.only_near.connect(self.only_near)
        panel.visited.connect(self._fly)
        panel.strength.connect(lambda _: self._settle.start())
        panel.settled.connect(self._on_settled)

    def end(self) -> None:
        """Stop comparing, and end the thread."""
        self._begin(None)
        self.comparison.end()

    # ------------------------------------------------------------------ listing

    def _on_changed(self) -> None:
        session = self._control.session
        if session is not self._session:
            self._begin(session)
        if self.comparison.follow() and (session is None or session.document.adapted is None):
            self.panel.show_regions((), (), "")
        self._show()

    def _begin(self, session: Session | None) -> None:
        self._settle.stop()
        self._blink.stop()
        self._session = session
        self.comparison.begin(session)

    def _on_listed(self, regions: tuple[Region, ...]) -> None:
        if self._session is not None:
            self._list(self._session, regions, "Comparing the maps…", interim=True)

    def _on_found(self, found: Ripple) -> None:
        if self._session is not None:
            self._list(self._session, found.regions, _summary(found, self._session.raster))

    def _list(
        self, session: Session, regions: tuple[Region, ...], summary: str, *, interim: bool = False
    ) -> None:
        names = [land.name for land in session.document.classes]
        self.panel.show_regions(regions, names, summary, follow=True, interim=interim)
        self._show()

    # ------------------------------------------------------------------ deciding

    def accept(self) -> None:
        """Accept the chosen region: it stays, and the next Adapt learns from it."""
        self._judge_selected(
            Proposals.accept, "Accepted: it stays, and the next Adapt learns from it"
        )

    def reject(self) -> None:
        """Reject the chosen region: it becomes as it was, and the next Adapt learns from it."""
        self._judge_selected(
            Proposals.reject, "Rejected: it is as before, and the next Adapt learns from it"
        )

    def _judge_selected(self, judge: Callable[[Proposals, list[Region]], None], said: str) -> None:
        region, session = self.panel.selected, self._session
        if region is None or session is None:
            return
        found = self.comparison.ripple
        self.panel.mark_judged()
        done = self._do(lambda proposals: judge(proposals, [region]), said)
        if done and found is not None and not found.missing and session is self._session:
            left = self.comparison.leave_out(region, found)
            self._list(session, left.regions, _summary(left, session.raster))

    def accept_all(self) -> None:
        """Accept all that the adaptation changed."""
        self._do(
            lambda proposals: proposals.accept(ripple=self.comparison.ripple),
            "Accepted: all changes stay; later clicks still count",
        )

    def reject_all(self) -> None:
        """Reject all that the adaptation changed away from the clicks."""
        self._do(
            lambda proposals: proposals.reject(ripple=self.comparison.ripple),
            "Rejected: only clicks still change the map; the next Adapt learns from the verdict",
        )

    def only_near(self) -> None:
        """Keep the changes near the clicks, and take the others back."""
        self._do(lambda proposals: proposals.only_near(), "Only changes near the clicks were kept")

    def _set_strength(self) -> None:
        session, value = self._session, self.panel.slider.value()
        if (
            session is None
            or session.proposals.strength is None
            or session.proposals.strength == value
        ):
            return
        if self._trying and session.document.step.kind == "strength":
            session.document.undo()
        self._trying = self.panel.slider.isSliderDown()
        self._do(lambda proposals: proposals.set_strength(round(value, 2)), f"Strength {value:.1f}")

    def _on_settled(self) -> None:
        self._settle.stop()
        self._set_strength()
        self._trying = False

    def _do(self, action: Callable[[Proposals], object], said: str) -> bool:
        """Do what was decided; return whether it could be done."""
        control, session = self._control, self._session
        return session is not None and guarded(
            lambda: control.travel(lambda: action(session.proposals), said)
        )

    # ------------------------------------------------------------------ seeing

    def _fly(self, region: Region) -> None:
        layers, review = self._control.layers, self._control.review
        if layers is not None:
            layers.go_to(region.window)
        if review is not None and review.place is not None:
            review.place = None  # or its keys would judge a place out of view
            self._control.changed.emit()
        self._show()  # its verdicts are possible now

    @property
    def has_place(self) -> bool:
        """Whether a region is outlined."""
        return self._session is not None and self.panel.selected is not None

    def leave(self) -> None:
        """Clear the choice in the list."""
        self.panel.choose_none()
        self._show()

    def press_blink(self) -> None:
        """Show the maps before and after the adaptation in turn, while the key is down."""
        if self._session is not None and self._session.document.adapted is not None:
            self._swap()
            self._blink.start()

    def release_blink(self, _seconds: float = 0.0) -> None:
        """Show the adapted map again when the key is released."""
        self._blink.stop()
        layers, session = self._control.layers, self._session
        if layers is not None and session is not None:
            layers.show_adapted(session.document.adapted is not None)

    def _swap(self) -> None:
        layers = self._control.layers
        if layers is not None and "disca" in layers.maps:
            layers.show_adapted(not layers.maps["disca"].visible)

    def _show(self) -> None:
        session, panel = self._session, self.panel
        self._outline(panel.selected.window if panel.selected is not None else None)
        adapted = session is not None and session.document.adapted is not None
        nothing = "" if adapted else _NOTHING
        chosen = nothing or ("" if panel.selected is not None else "choose a region in the list")
        if panel.selected is not None and not panel.selected.complete:
            chosen = "the map is still being computed there"
        open_still = session is not None and session.proposals.current is not None
        judged = nothing or ("" if open_still else "all changes are judged already")
        panel.enable(
            accept=chosen,
            reject=chosen,
            next_change=nothing or ("" if panel.list.count() else "there is no region"),
            accept_all=judged,
            reject_all=judged,
            only_near=judged,
        )
        panel.show_strength(session.proposals.strength if session is not None else None)
        self.changed.emit()


def _summary(found: Ripple, raster: Raster) -> str:
    """Return how much an adaptation has changed, in one line."""
    if not found.changed:
        text = "Away from the clicks the adaptation has changed nothing"
        return text if not found.missing else "Waiting for the map"
    resolution = raster_resolution(raster)
    size = f"{found.changed:,} pixels"
    if resolution is not None:
        size = area_text(found.changed * resolution**2)
    count = len(found.regions)
    text = f"The adaptation has changed {size}: {count:,} region{'s' * (count != 1)}"
    if found.unlisted:
        text += f", and {found.unlisted:,} smaller ones"
    if found.missing:
        text += "; the map is still being computed"
    return text
