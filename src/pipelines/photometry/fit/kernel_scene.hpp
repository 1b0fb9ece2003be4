#pragma once
// State of one patch fit: cleaned frames, sources with their boxes, rendered images and Gram
// matrices, and the linear solve for fluxes and skies. Images and products are made again only for
// what changed since they were last made.

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "pipelines/photometry/fit/kernel.hpp"
#include "pipelines/photometry/fit/kernel_workspace.hpp"
#include "skyloom/numerics/dense.hpp"
#include "skyloom/sky/render.hpp"

namespace skyloom::photometry::fit {

inline constexpr int kMaxParameters = 6;  ///< x, y, ln Re, ee1, ee2, n

/// Cleaned copy of a frame. Rows are `stride` floats; bad pixels have weight 0 and data 0.
struct Frame {
  const FrameData* input = nullptr;
  int width = 0;
  int height = 0;
  std::ptrdiff_t stride = 0;
  double offset = 0.0;  ///< subtracted from the data: the held sky, or about the mean
  AlignedVector<float> data;
  AlignedVector<float> sky_weight;  ///< 1 / sky variance
  AlignedVector<float> weight;      ///< in use
  AlignedVector<float> model;       ///< sources without sky
  AlignedVector<float> weighted_residual;
  double mean_weight = 0.0;  ///< of the good pixels, sky noise
  double sum_weight = 0.0;   ///< of the weights in use
  double sum_weighted_data = 0.0;
  int n_good = 0;
  bool fit_sky = false;           ///< and has good pixels
  double sky = 0.0;               ///< relative to offset
  double chi2 = 0.0;              ///< with the weights in use
  std::shared_ptr<PsfModel> psf;  ///< shared by the sources when constant
  /// Pixels under any box; the ends are multiples of 16 (or the row's end).
  std::vector<RowPiece> lit;
  std::vector<std::uint64_t> covered;  ///< scratch of the search for pieces
  /// Sums of w, w d, w d^2 over all other pixels, where the model is the sky alone.
  std::array<double, 3> dark{};
  std::vector<std::array<double, 3>> dark_rows;  ///< of each row
  std::uint64_t summed_weight = 0;               ///< weights of these sums
};

/// Part of a galaxy on one grid: the terms of its mixture with sigma in [low, high), units of Re.
struct Level {
  sky::GridShape grid;
  double low = 0.0;
  double high = 0.0;
  double sigma_pix = 0.0;  ///< `low` in pixels when the level was chosen
};

/// Neighbouring terms of a mixture, sigma in [low, high), units of Re: the box they need with all
/// narrower ones, and the band with all wider ones.
struct TermGroup {
  double low = 0.0;
  double high = 0.0;
  int half = 0;
  int period = 0;
  double band = 0.0;  ///< cycles per pixel
};

/// Where the images of a source lie in one frame.
struct Placement {
  int centre_x = 0;
  int centre_y = 0;
  Box clip;  ///< frame pixels; may be empty
  std::ptrdiff_t stride = 0;
  std::ptrdiff_t plane = 0;
  std::size_t offset = 0;  ///< in Source::pixels
  std::shared_ptr<PsfModel> psf;
};

struct Source {
  SourceType type = SourceType::star;
  Role role = Role::base;
  int n_parameters = 2;
  int n_images = 1;     ///< 1 when positions and shape are held for good
  bool free = false;    ///< positions and shape belong to the fit
  bool active = false;  ///< and are moved by the current solve
  bool remote = false;  ///< held after the first approach
  bool unseen = false;  ///< left out: next to nothing of its light falls on good pixels
  std::uint32_t flags = 0;
  std::array<double, kMaxParameters> start{};
  std::array<double, kMaxParameters> value{};
  std::array<double, kMaxParameters> lower{};
  std::array<double, kMaxParameters> upper{};
  std::vector<double> flux;      ///< per band, NaN without data
  std::vector<double> box_flux;  ///< per band, what the boxes were chosen for
  double box_log_re = 0.0;
  /// Second derivatives that Gauss-Newton leaves out, from the gradients along its own steps.
  std::array<double, kMaxParameters * kMaxParameters> curvature{};
  double prior_scale = 1.0;  ///< on the precision of the prior of position, size and ellipticity
  int half = 0;
  std::vector<Level> levels;  ///< empty for stars
  std::vector<Placement> place;
  Pixels pixels;
  std::uint64_t image_id = 0;  ///< new number whenever anything was rendered
  bool value_valid = false;
  bool derivatives_valid = false;
  std::array<double, kMaxParameters> value_at{};
  std::array<double, kMaxParameters> derivatives_at{};
};

/// Linear unknowns of one band: fluxes of the sources it sees, then the skies of its frames.
struct BandSystem {
  std::vector<int> source;
  std::vector<int> sky_frame;
  std::vector<double> matrix;
  std::vector<double> right;
  std::vector<double> solution;
  numerics::SmallCholesky factor;
  [[nodiscard]] int size() const { return static_cast<int>(source.size() + sky_frame.size()); }
};

class Scene {
 public:
  /// @param work lends memory and prepared PSFs until the end of the scene
  Scene(const Input& input, Workspace& work);
  ~Scene();
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  [[nodiscard]] const Input& input() const { return input_; }
  [[nodiscard]] std::vector<Source>& sources() { return sources_; }
  [[nodiscard]] const std::vector<Source>& sources() const { return sources_; }
  [[nodiscard]] std::vector<Frame>& frames() { return frames_; }
  [[nodiscard]] const std::vector<Frame>& frames() const { return frames_; }
  [[nodiscard]] const BandSystem& band(int b) const { return bands_[static_cast<std::size_t>(b)]; }
  [[nodiscard]] int n_bands() const { return input_.n_bands; }

  /// Significance of the light that boxes and band limits of free sources chosen from now on may
  /// leave out; held ones keep the boxes of Options::truncation_sigma.
  void set_truncation(double sigma) { truncation_sigma_ = sigma; }
  [[nodiscard]] double truncation() const { return truncation_sigma_; }
  [[nodiscard]] Workspace& work() { return work_; }
  /// Chooses boxes and grids of source s for fluxes `box_flux` and its present position and shape.
  /// @return false when they are those it has: its images stay valid
  bool place(int s);
  /// Finds which boxes overlap; after any place().
  void find_pairs();
  /// Light of s under a reported source in units of that source's conditional flux error, at most
  /// over sources and bands; after evaluate().
  [[nodiscard]] double influence(int s) const;
  /// Share of the light of s on good pixels, the largest of all frames, and the significance of
  /// that light for fluxes `box_flux`; after evaluate().
  struct Seen {
    double share = 0.0;
    double significance = 0.0;
  };
  [[nodiscard]] Seen seen(int s) const;
  /// Leaves s out for good. @pre not a reported source
  void leave_out(int s);
  /// Lets go of the position and shape of s for good.
  void hold(int s);
  /// Until this is called there is room for values only, not for derivatives.
  void make_room_for_derivatives();

  /// Renders what changed, solves for fluxes and skies, makes residuals. @return chi2 with the
  /// weights in use. @param derivatives also the derivative images of active sources
  double evaluate(bool derivatives);
  /// Gradient of chi2 / 2 for the parameters of active sources in order; after evaluate(true).
  void gradient(std::span<double> g) const;
  /// Schur complement of the Gauss-Newton matrix for the same parameters (n * n).
  void normal_matrix(std::span<double> h);
  [[nodiscard]] int active_parameters() const;

  /// Weights 1 / (sky variance + source variance of the present model).
  void use_total_weights();
  /// Makes `gram`, which has been resized, complete for the active sources with weights `weight`
  /// (per frame).
  void fill_gram(Gram& gram, std::span<const std::span<const float>> weight, bool full,
                 std::uint64_t weight_id);
  /// Room in `gram` for all products, none of them made.
  void resize(Gram& gram) const;
  [[nodiscard]] Gram& gram() { return gram_; }
  [[nodiscard]] std::uint64_t weight_id() const { return weight_id_; }

  /// A (L * L) of a band, B (L * n) with rows of unknowns, and the sum over bands of the direct
  /// part of the nonlinear matrix added to h.
  void linear_matrix(const Gram& gram, const BandSystem& band, int b, std::span<double> a) const;
  void coupling_matrix(const Gram& gram, const BandSystem& band, int b, std::span<double> c) const;
  void direct_matrix(const Gram& gram, std::span<double> h) const;

  [[nodiscard]] sky::ImageBlock block(const Source& source, std::size_t frame) const;

 private:
  struct Pair {
    int low;
    int high;
  };

  void clean_frame(const FrameData& data, std::size_t index);
  void start_source(const SourceStart& start);
  std::shared_ptr<PsfModel> psf_at(std::size_t frame, double x, double y) const;
  [[nodiscard]] double truncation_of(const Source& source) const;
  /// Smallest half size of the ladder from `at_least` on that a frame needs for (a part of) the
  /// profile, leaving out `share` of what may be left out; beyond the largest, none.
  int half_size_needed(const Source& source, const sky::Mixture& mixture, std::size_t frame,
                       int at_least, double share) const;
  double frequency_needed(const Source& source, std::span<const double> profile_power,
                          std::size_t frame, double at_least) const;
  /// True when some terms of the source are convolved with a mixture instead of a stamp.
  static bool has_terms_for_mixture(const Source& source, const sky::Mixture& profile);
  [[nodiscard]] std::vector<TermGroup> term_groups(const Source& source,
                                                   const sky::Mixture& mixture, int half, int reach,
                                                   double k_max) const;
  /// Grids for a box of half size `half`, light as far as `reach` and frequencies to k_max.
  void choose_levels(Source& source, const sky::Mixture& mixture, int half, int reach,
                     double k_max) const;
  void find_lit_pixels(std::size_t f);
  /// @param before pieces of the rows that were summed last with the same weights, or nothing
  static void sum_dark_pixels(Frame& frame, const std::vector<RowPiece>* before);
  void index_parameters() const;
  void index_unknowns(const BandSystem& band) const;
  void allocate(Source& source) const;
  void render(Source& source, bool derivatives);
  void render_star(Source& source, bool derivatives);
  void render_galaxy(Source& source, bool derivatives);
  void fill_gram_frame(Gram& gram, std::size_t f, std::span<const float> weight, bool full,
                       std::uint64_t weight_id);
  [[nodiscard]] int images_needed(const Source& source, bool full) const;
  [[nodiscard]] bool block_valid(const GramBlock& block, const Pair& pair, bool full,
                                 std::uint64_t weight_id) const;
  void fill_own(GramBlock& block, const Source& source, std::size_t f, int images);
  void fill_pair(GramBlock& block, const Source& weighted, const Source& other, std::size_t f,
                 bool weighted_is_low, int n_weighted, int n_other);
  void solve_band(int b);
  double residuals();

  const Input& input_;
  Workspace& work_;
  std::vector<Frame> frames_;
  std::vector<Source> sources_;
  std::vector<BandSystem> bands_;
  std::vector<Pair> pairs_;                  ///< own pairs first, then overlapping ones
  std::vector<Pair> old_pairs_;              ///< those of the products before
  std::vector<std::vector<int>> neighbour_;  ///< pairs of each source, without its own
  Gram gram_;
  std::vector<std::span<const float>> weights_;  ///< in use, per frame
  std::uint64_t weight_id_ = 1;
  std::uint64_t layout_id_ = 1;  ///< new number whenever boxes changed
  /// What chi2_ was computed for.
  std::uint64_t evaluated_weight_ = 0;
  std::uint64_t evaluated_layout_ = 0;
  double chi2_ = 0.0;
  bool derivatives_ = false;  ///< there is room for them
  std::uint64_t next_image_id_ = 1;
  double truncation_sigma_;
};

}  // namespace skyloom::photometry::fit
