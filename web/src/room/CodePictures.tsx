import {
  Anchor, Apple, Banana, Bell, Bike, Bird, Bone, Bug, Bus, Cake, Candy, Car, Carrot, Castle, Cat, Cherry, Cloud,
  Clover, Coffee, Cookie, Croissant, Crown, Dices, Dog, Egg, Feather, Fish, Flame, Flower, Gem, Gift, Grape, Guitar,
  Hammer, Heart, House, Leaf, Milk, Moon, Mountain, Pizza, Plane, Rabbit, Rainbow, Rat, Rocket, Sailboat, Scissors,
  Shell, Snail, Snowflake, Squirrel, Star, Sun, Tent, Tractor, TrainFront, TreePalm, TreePine, Turtle, Umbrella,
  Wheat, Wine, Zap,
  type LucideIcon,
} from "lucide-react";
import { useTranslation } from "../i18n/useTranslation";
import type { Bytes } from "../sealed/bytes";
import { type Picture, picturesOf } from "../sealed/code";

const ICONS: Record<Picture, LucideIcon> = {
  dog: Dog, cat: Cat, rabbit: Rabbit, rat: Rat, bird: Bird, fish: Fish, turtle: Turtle, snail: Snail, squirrel:
  Squirrel, bug: Bug, shell: Shell, feather: Feather, bone: Bone, egg: Egg, apple: Apple, banana: Banana, cherry:
  Cherry, grape: Grape, carrot: Carrot, wheat: Wheat, pizza: Pizza, cookie: Cookie, croissant: Croissant, cake: Cake,
  candy: Candy, cup: Coffee, wine: Wine, milk: Milk, leaf: Leaf, clover: Clover, flower: Flower, tree: TreePine, palm:
  TreePalm, mountain: Mountain, sun: Sun, moon: Moon, star: Star, cloud: Cloud, rainbow: Rainbow, snowflake:
  Snowflake, umbrella: Umbrella, lightning: Zap, fire: Flame, house: House, tent: Tent, castle: Castle, car: Car, bus:
  Bus, bicycle: Bike, train: TrainFront, tractor: Tractor, boat: Sailboat, plane: Plane, rocket: Rocket, anchor:
  Anchor, bell: Bell, gift: Gift, crown: Crown, diamond: Gem, heart: Heart, scissors: Scissors, hammer: Hammer,
  guitar: Guitar, dice: Dices,
};

/** The pictures of a room's code, each with its name, so that people can read them to each other. */
export function CodePictures({ code }: { code: Bytes }) {
  const { t } = useTranslation("pictures");
  const pictures = picturesOf(code);
  return (
    <ol className="seal-pictures" data-testid="seal-pictures" data-pictures={pictures.join(" ")}>
      {pictures.map((picture, place) => {
        const Icon = ICONS[picture];
        return (
          <li key={place}>
            <Icon size={28} aria-hidden />
            <span>{t(picture)}</span>
          </li>
        );
      })}
    </ol>
  );
}
