//! The pool of generated images against what Shrivastava et al. 2017 and the program
//! of Zhu et al. 2017 do, image by image.

use std::collections::HashMap;

use gpugan::adversarial::pool::{DRAWS, Pool, query};
use gpugan::graph::{Graph, Role, Shape};
use gpugan::random::uniform;
use gpugan::reference::{Tensor, evaluate};

/// What a pool of `size` numbers is between queries.
struct Kept {
    images: Tensor,
    count: Tensor,
}

impl Kept {
    fn empty(size: usize) -> Self {
        Self {
            images: Tensor::new(Shape::from([size, 1, 1, 1]), vec![0.0; size]).unwrap(),
            count: Tensor::new(Shape::scalar(), vec![0.0]).unwrap(),
        }
    }

    /// What is handed out for images of one pixel each.
    fn query(&mut self, fresh: &[f64], draws: &[f64]) -> Vec<f64> {
        let mut graph = Graph::new();
        let n = fresh.len();
        let given = [
            ("images", self.images.clone()),
            ("count", self.count.clone()),
            (
                "fresh",
                Tensor::new(Shape::from([n, 1, 1, 1]), fresh.to_vec()).unwrap(),
            ),
            (
                "draws",
                Tensor::new(Shape::from([n, DRAWS]), draws.to_vec()).unwrap(),
            ),
        ];
        let mut states = HashMap::new();
        let [images, count, fresh, draws] = given.map(|(name, tensor)| {
            let id = graph
                .declare(name, tensor.shape.clone(), Role::Input)
                .unwrap();
            states.insert(id, tensor);
            graph.state(id)
        });
        let (out, after) = query(&mut graph, Pool { images, count }, fresh, draws).unwrap();
        let roots = [out, after.images, after.count];
        let mut values = evaluate(&graph, &roots, &states, 0, 0).unwrap().into_iter();
        let [out, images, count] = [(); 3].map(|()| values.next().unwrap());
        (self.images, self.count) = (images, count);
        out.data
    }
}

/// The source's program: a list, filled first, then exchanged by chance.
fn listed(list: &mut Vec<f64>, size: usize, image: f64, exchange: f64, which: f64) -> f64 {
    if list.len() < size {
        list.push(image);
        image
    } else if exchange > 0.5 {
        std::mem::replace(&mut list[(which * size as f64) as usize], image)
    } else {
        image
    }
}

#[test]
fn a_pool_hands_out_what_the_list_of_the_source_does() {
    const SIZE: usize = 7;
    let mut pool = Kept::empty(SIZE);
    let mut list = Vec::new();
    for batch in 0..40_u32 {
        let n = 1 + batch as usize % 4;
        let fresh: Vec<f64> = (0..n)
            .map(|i| f64::from(batch * 10) + i as f64 + 1.0)
            .collect();
        let draws: Vec<f64> = (0..n * DRAWS)
            .map(|i| f64::from(uniform(i as u32, 0, batch, 5)))
            .collect();
        let given = pool.query(&fresh, &draws);
        let expected: Vec<f64> = fresh
            .iter()
            .zip(draws.chunks(DRAWS))
            .map(|(&image, draw)| listed(&mut list, SIZE, image, draw[0], draw[1]))
            .collect();
        assert_eq!(given, expected, "batch {batch}");
        assert_eq!(pool.images.data[..list.len()], list);
        assert_eq!(pool.count.data, [list.len() as f64]);
    }
    assert_eq!(list.len(), SIZE);
}

/// A draw that rounding has made 1 is the last place.
#[test]
fn a_draw_of_one_takes_the_last_image() {
    let mut pool = Kept::empty(3);
    pool.query(&[1.0, 2.0, 3.0], &[0.0; 6]);
    assert_eq!(pool.query(&[4.0], &[1.0, 1.0]), [3.0]);
    assert_eq!(pool.images.data, [1.0, 2.0, 4.0]);
}

#[test]
fn half_of_the_images_are_exchanged() {
    const SIZE: usize = 50;
    let mut pool = Kept::empty(SIZE);
    let (mut earlier, mut seen) = (0, 0);
    for batch in 0..100_u32 {
        let fresh: Vec<f64> = (0..100).map(|i| f64::from(batch * 100 + i)).collect();
        let draws: Vec<f64> = (0..200)
            .map(|i| f64::from(uniform(i, 0, batch, 1)))
            .collect();
        let given = pool.query(&fresh, &draws);
        if batch == 0 {
            assert_eq!(given[..SIZE], fresh[..SIZE]);
        }
        let late = usize::from(batch == 0) * SIZE;
        earlier += given[late..]
            .iter()
            .zip(&fresh[late..])
            .filter(|(a, b)| a != b)
            .count();
        seen += given.len() - late;
    }
    let share = earlier as f64 / seen as f64;
    assert!(
        seen > 9_000 && (share - 0.5).abs() < 0.03,
        "{share} of {seen}"
    );
}
