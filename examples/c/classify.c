/* Classifies an image: reads a binary PPM, brings it to the model's size, runs the model, prints the best classes.
 *
 *   classify MODEL.quaver IMAGE.ppm [LABELS.txt]
 *
 * The model takes float32 [1, 3, height, width] and gives one score for each class. LABELS.txt names one class on each
 * line. */
#include <math.h>
#include <quaver.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What EfficientNet-Lite was trained on: the central 224/256 of the image, (byte - MEAN) / STD. */
#define MEAN 127.0f
#define STD 128.0f
#define CROP 0.875

#define TOP 3

typedef struct image {
  int width, height;
  unsigned char* rgb;
} image;

static void die(const char* what, const char* why) {
  fprintf(stderr, "classify: %s: %s\n", what, why);
  exit(1);
}

static void check(quaver_status status, const char* what) {
  if (status != QUAVER_OK) die(what, quaver_last_error());
}

static void* allocate(size_t size) {
  void* memory = calloc(1, size ? size : 1);
  if (!memory) die("memory", "out of it");
  return memory;
}

/* A number of the header, after space and comments. */
static int ppm_number(FILE* file, const char* path) {
  int c = fgetc(file), number = 0;
  while (c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '#') {
    if (c == '#') {
      while (c != '\n' && c != EOF) c = fgetc(file);
    }
    c = fgetc(file);
  }
  if (c < '0' || c > '9') die(path, "not a binary PPM (P6)");
  for (; c >= '0' && c <= '9'; c = fgetc(file)) {
    number = number * 10 + (c - '0');
    if (number > 65535) die(path, "larger than 65535 pixels");
  }
  return number;
}

static image read_ppm(const char* path) {
  FILE* file = fopen(path, "rb");
  if (!file) die(path, "cannot be opened");
  if (fgetc(file) != 'P' || fgetc(file) != '6') die(path, "not a binary PPM (P6)");
  image result;
  result.width = ppm_number(file, path);
  result.height = ppm_number(file, path);
  if (ppm_number(file, path) != 255) die(path, "not 8 bits a channel");
  if (!result.width || !result.height) die(path, "empty");
  const size_t size = (size_t)result.width * (size_t)result.height * 3;
  result.rgb = allocate(size);
  if (fread(result.rgb, 1, size, file) != size) die(path, "truncated");
  fclose(file);
  return result;
}

/* The mean of a channel over the source rectangle [x0, x1) x [y0, y1), pixels at its edges by their share in it. */
static double mean_over(const image* from, int channel, double x0, double x1, double y0, double y1) {
  double sum = 0, area = 0;
  for (int y = (int)y0; y < from->height && y < y1; ++y) {
    const double rows = fmin(y + 1, y1) - fmax(y, y0);
    for (int x = (int)x0; x < from->width && x < x1; ++x) {
      const double share = rows * (fmin(x + 1, x1) - fmax(x, x0));
      sum += share * from->rgb[((size_t)y * (size_t)from->width + (size_t)x) * 3 + (size_t)channel];
      area += share;
    }
  }
  return sum / area;
}

/* The central square, scaled and normalized, one channel plane after another. */
static void fill_input(const image* from, int height, int width, float* input) {
  const double side = CROP * (from->width < from->height ? from->width : from->height);
  const double left = (from->width - side) / 2, top = (from->height - side) / 2;
  for (int channel = 0; channel < 3; ++channel) {
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) {
        const double value = mean_over(from, channel, left + side * x / width, left + side * (x + 1) / width,
                                       top + side * y / height, top + side * (y + 1) / height);
        *input++ = ((float)value - MEAN) / STD;
      }
    }
  }
}

/* Line `index` of the file, or its number where there is none. */
static void print_label(const char* labels, size_t index) {
  char line[256];
  FILE* file = labels ? fopen(labels, "r") : NULL;
  if (labels && !file) die(labels, "cannot be opened");
  for (size_t i = 0; file && fgets(line, sizeof line, file); ++i) {
    if (i != index) continue;
    line[strcspn(line, "\r\n")] = '\0';
    printf("%s\n", line);
    fclose(file);
    return;
  }
  if (file) fclose(file);
  printf("class %lu\n", (unsigned long)index);
}

/* Prints the best classes, best first; spoils the scores. */
static void print_best(float* scores, size_t count, const char* labels) {
  for (int rank = 0; rank < TOP && (size_t)rank < count; ++rank) {
    size_t best = 0;
    for (size_t i = 1; i < count; ++i) {
      if (scores[i] > scores[best]) best = i;
    }
    printf("%10.4f  ", scores[best]);
    print_label(labels, best);
    scores[best] = -INFINITY;
  }
}

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    fprintf(stderr, "usage: classify MODEL.quaver IMAGE.ppm [LABELS.txt]\n");
    return 2;
  }
  quaver_model* model = NULL;
  check(quaver_load(argv[1], NULL, &model), "load");
  if (quaver_input_count(model) != 1 || quaver_output_count(model) != 1) die(argv[1], "not one input and one output");

  quaver_tensor_info takes, gives;
  check(quaver_input_info(model, 0, &takes), "input");
  check(quaver_output_info(model, 0, &gives), "output");
  if (takes.dtype != QUAVER_F32 || takes.rank != 4 || takes.shape[1] != 3 || takes.shape[2] < 1 || takes.shape[3] < 1 ||
      gives.dtype != QUAVER_F32) {
    die(argv[1], "does not take float32 [1, 3, height, width] and give float32 scores");
  }

  const int height = (int)takes.shape[2], width = (int)takes.shape[3];
  quaver_buffer input = {NULL, 0, 4, {1, 3, height, width}}, output = {0};
  input.bytes = (size_t)3 * (size_t)height * (size_t)width * sizeof(float);
  input.data = allocate(input.bytes);
  check(quaver_output_shapes(model, &input, 1, &output, 1), "shapes");
  output.data = allocate(output.bytes);

  image picture = read_ppm(argv[2]);
  fill_input(&picture, height, width, input.data);
  check(quaver_run(model, &input, 1, &output, 1), "run");
  print_best(output.data, output.bytes / sizeof(float), argc > 3 ? argv[3] : NULL);

  free(picture.rgb);
  free(input.data);
  free(output.data);
  quaver_free(model);
  return 0;
}
